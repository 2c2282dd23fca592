// Notices at the edge of the page, and what a refusal says in people's words.

import { byId, el } from "./dom.js";
import { limitName, resetText, shortDay, slotText, videoName } from "./format.js";
import { resetOf, state } from "./state.js";

const SHOWN_MS = 6000;

export const dismiss = () => byId("notices").replaceChildren();

export function notify(text, { kind = "good", actions = [], detail = null } = {}) {
  const close = () => notice.remove();
  const notice = el(
    "div",
    { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" },
    el("p", {}, el("strong", {}, text), detail && el("span", {}, detail)),
    el(
      "div",
      { class: "actions" },
      actions.map(([label, act]) =>
        el("button", { type: "button", class: "primary", onclick: () => { close(); act(); } }, label),
      ),
      el("button", { type: "button", class: "quiet", onclick: close }, "Dismiss"),
    ),
  );
  byId("notices").replaceChildren(notice);
  if (kind === "good") setTimeout(close, SHOWN_MS);
  return notice;
}

function taken(problem) {
  const other = state.entries.get(problem.fields.reservation_id);
  const by = other ? ` by ${videoName(other.video_path)}` : "";
  return `${when(problem)} is taken${by}.`;
}

function limitReached(problem) {
  const { limit, day, used, max } = problem.fields;
  const until = problem.resets_at ? `; ${resetText(problem.resets_at, state.settings.time_zone)}` : "";
  return `${limitName(limit)} is full on ${shortDay(day)}: ${used} of ${max}${until}.`;
}

const when = (problem) => {
  const { day, time } = resetOf(problem.fields.publish_time);
  return slotText(day, time);
};

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function blackedOut({ fields }) {
  const end = fields.to && resetOf(fields.to);
  const until = end ? ` until ${slotText(end.day, end.time)}` : "";
  return `The channel publishes nothing then${until}${fields.reason ? `: ${fields.reason}` : ""}.`;
}

function skipped({ fields }) {
  const nearest = (fields.nearest ?? []).map((text) => text.slice(-5)).join(" or ");
  return `The clock skips ${fields.time} on ${shortDay(fields.date)}.${nearest && ` Take ${nearest}.`}`;
}

const WORDS = {
  SlotTaken: taken,
  DailyLimitReached: limitReached,
  QuotaExhausted: limitReached,
  SlotInPast: () => "That time has passed.",
  BlackedOut: blackedOut,
  NonexistentLocalTime: skipped,
  VideoAlreadyBooked: (problem) =>
    `${videoName(problem.fields.video)} is booked already, on ${when(problem)}. One booking a video.`,
  StaleVersion: () => "Somebody else changed it meanwhile.",
  ReservationNotFound: () => "It does not exist any more.",
  IllegalTransition: (problem) => `It is ${problem.fields.status} by now.`,
};

export function explain(problem) {
  try {
    return WORDS[problem.name]?.(problem) ?? sentence(problem.message);
  } catch {
    return sentence(problem.message);
  }
}

// Whether another slot could help.
export const wantsAnotherSlot = (problem) =>
  ["SlotTaken", "DailyLimitReached", "QuotaExhausted", "BlackedOut", "SlotInPast"].includes(
    problem.name,
  );
