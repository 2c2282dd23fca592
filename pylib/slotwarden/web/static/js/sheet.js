// What lies over the calendar when it cannot be shown, or shows nothing.

import * as api from "./api.js";
import { byId, el } from "./dom.js";
import { shortDay } from "./format.js";
import { latest } from "./latest.js";
import { explain } from "./notices.js";
import { state, today } from "./state.js";

const LOOKED_AHEAD_DAYS = 90;

const laying = latest();
// The first of the days whose card was put away.
let dismissed = null;

function overlay(...content) {
  laying();
  const node = byId("overlay");
  node.hidden = content.length === 0;
  node.replaceChildren(...content);
}

export const forgetDismissed = () => { dismissed = null; };

export const showFailure = (problem, retry) =>
  overlay(
    el(
      "div",
      { class: "card bad" },
      el("p", {}, el("strong", {}, problem.title ?? "Something went wrong")),
      el("p", {}, explain(problem)),
      el("button", { type: "button", class: "primary", onclick: retry }, "Try now"),
    ),
  );

export const showLocked = (enter) =>
  overlay(
    el(
      "div",
      { class: "card" },
      el("p", {}, "Who wants to see this calendar needs its token."),
      el("button", { type: "button", class: "primary", onclick: enter }, "Enter the token"),
    ),
  );

// Nothing over days on which something is booked; else a card that leads to where something is.
export async function showDays(from, { entries, slots }, goTo) {
  if (entries.length || dismissed === from) {
    overlay();
    return;
  }
  const isLast = laying();
  const ahead = { from: today(), days: LOOKED_AHEAD_DAYS };
  const later = await api.read(state.channel, "calendar", ahead).catch(() => ({ entries: [] }));
  // Drawn once, when all is known: a card that grows would move under the hand.
  if (!isLast()) return;
  const next = later.entries.find((entry) => entry.day >= from) ?? later.entries[0];
  const hint = slots.length ? " Click a free slot to book it." : "";
  const hide = () => {
    dismissed = from;
    overlay();
  };
  overlay(
    el(
      "div",
      { class: "card" },
      el("p", {}, `Nothing is booked in these days.${hint}`),
      next &&
        el(
          "button",
          { type: "button", onclick: () => goTo(next.day) },
          `Next booking: ${shortDay(next.day)}`,
        ),
      el("button", { type: "button", class: "quiet", onclick: hide }, "Hide"),
    ),
  );
}
