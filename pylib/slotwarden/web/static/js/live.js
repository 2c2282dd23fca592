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

// How long the first read waits for the stream.
const WAITED_MS = 1000;
const UNREAD = "unread";

let source = null;
let following = null;
// The state of the days when they were last read.
let seen = null;
let ready = Promise.resolve();
// What the stream itself said last: a read that fails says otherwise for a while.
let streaming = "connecting";
let again = null;

export function pulse(name) {
  const node = byId("pulse");
  if (node.dataset.state === name) return;
  node.dataset.state = name;
  byId("pulse-text").textContent = TEXTS[name];
}

function tell(name) {
  streaming = name;
  pulse(name);
}

export const pulseAsStreaming = () => pulse(streaming);

// Calls `changed` when something in these days has changed since they were read. They may be read as
// soon as the promise resolves: the first state is told then, or will count as a change.
export function follow(channel, { from, days }, changed) {
  const path = eventsPath(channel, from, days);
  if (path === following && source.readyState !== EventSource.CLOSED) return ready;
  source?.close();
  if (path !== following) seen = null;
  following = path;
  const opened = new EventSource(path);
  source = opened;
  ready = new Promise((resolve) => {
    const readAnyway = () => {
      if (source === opened) seen ??= UNREAD;
      resolve();
    };
    opened.addEventListener("state", ({ data }) => {
      const { fingerprint } = JSON.parse(data);
      const before = seen;
      seen = fingerprint ?? UNREAD;
      tell(fingerprint === null ? "away" : "live");
      if (fingerprint !== null && before !== null && before !== fingerprint) changed();
      resolve();
    });
    opened.addEventListener("error", () => {
      tell(navigator.onLine ? "lost" : "offline");
      readAnyway();
      // A connection that was lost comes back by itself, one that was refused does not.
      if (opened.readyState !== EventSource.CLOSED) return;
      clearTimeout(again);
      again = setTimeout(() => path === following && follow(channel, { from, days }, changed), AGAIN_MS);
    });
    setTimeout(readAnyway, WAITED_MS);
  });
  return ready;
}

export function stopFollowing() {
  source?.close();
  following = null;
}
