// What the page knows at the moment. Only main.js and calendar.js change it.

import { inZone } from "./format.js";

export const state = {
  channel: null, // its name
  settings: null, // zone, types, posting times
  type: null, // the video type whose free slots are shown
  feedToken: null,
  entries: new Map(), // by reservation_id
  usage: new Map(), // by day: the limits on it
  warnings: [],
};

// The order of a channel's limits: posting limits first, in the order of its types.
export function limitsInOrder() {
  const seen = new Map();
  for (const type of state.settings.types) {
    for (const charge of type.charges) seen.set(charge.limit_id, charge);
  }
  return [...seen.values()].sort(
    (a, b) => a.counted_at.localeCompare(b.counted_at) || a.limit_id.localeCompare(b.limit_id),
  );
}

export const today = () => localNow().slice(0, 10);
export const resetOf = (instant) => inZone(instant, state.settings.time_zone);

// The present on the channel's clock, from the server's: this machine's may be wrong.
let readAt = 0;
export function rememberNow() {
  readAt = performance.now();
}
export function localNow() {
  const started = new Date(`${state.settings.local_now}Z`).getTime();
  return new Date(started + performance.now() - readAt).toISOString().slice(0, 19);
}
