// Follows the days that are shown, and says how fresh they are.

import { eventsPath } from "./api.js";
import { byId } from "./dom.js";

const TEXTS = {
  connecting: "Connecting",
  locked: "Token needed",
  live: "Live",
  away: "Database away",
  lost: "Reconnecting",
  offline: "Offline",
};

const AGAIN_MS = 3000;

let source = null;
let seen = null;
let following = null;

export function pulse(name) {
  const node = byId("pulse");
  if (node.dataset.state === name) return;
  node.dataset.state = name;
  byId("pulse-text").textContent = TEXTS[name];
}

// Calls `changed` when something in these days has changed since they were read.
export function follow(channel, { from, days }, changed) {
  const path = eventsPath(channel, from, days);
  if (path === following && source?.readyState !== EventSource.CLOSED) return;
  source?.close();
  if (path !== following) seen = null;
  following = path;
  source = new EventSource(path);
  source.addEventListener("state", ({ data }) => {
    const { fingerprint } = JSON.parse(data);
    const before = seen;
    seen = fingerprint ?? "away";
    pulse(fingerprint === null ? "away" : "live");
    if (fingerprint !== null && before !== null && before !== fingerprint) changed();
  });
  source.addEventListener("error", () => {
    pulse(navigator.onLine ? "lost" : "offline");
    // A connection that was lost comes back by itself, one that was refused does not.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => path === following && follow(channel, { from, days }, changed), AGAIN_MS);
  });
}

export function stopFollowing() {
  source?.close();
  following = null;
}
