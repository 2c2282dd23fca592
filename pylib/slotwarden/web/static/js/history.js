// What was used of each limit, day by day.

import * as api from "./api.js";
import { track } from "./bars.js";
import { open } from "./dialogs.js";
import { el } from "./dom.js";
import { addDays, asDate, grouped, limitName, number, shortDay, spanText } from "./format.js";
import { latest } from "./latest.js";
import { explain } from "./notices.js";
import { limitsInOrder, state } from "./state.js";

const DAYS = 30;

function cell(row, charge) {
  if (!row) return el("td", {}, el("span", { class: "muted" }, "–"));
  return el(
    "td",
    {},
    el("span", { class: "count" }, number(row.used_units), el("span", { class: "muted" }, ` of ${number(row.max_units)}`)),
    track(row, charge),
  );
}

function historyTable(rows, caption) {
  const charges = limitsInOrder().filter((charge) => rows.some((row) => row.limit_id === charge.limit_id));
  const line = ([day, ofDay]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, shortDay(day)),
      charges.map((charge) => cell(ofDay.find((row) => row.limit_id === charge.limit_id), charge)),
    );
  return el(
    "table",
    { class: "history" },
    el("caption", {}, caption),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col" }, "Day"),
        charges.map((charge) => el("th", { scope: "col" }, limitName(charge.limit_id))),
      ),
    ),
    el("tbody", {}, [...grouped(rows)].map(line)),
  );
}

async function historyUntil(last) {
  const from = addDays(last, 1 - DAYS);
  const caption = spanText(asDate(from), asDate(last));
  try {
    const rows = await api.read(state.channel, "history", { from, to: last });
    return rows.length
      ? historyTable(rows, caption)
      : el("p", { class: "muted" }, `${caption}: nothing was booked.`);
  } catch (problem) {
    return el("p", { role: "alert" }, explain(problem));
  }
}

// The thirty days that end with `last`; others are a button away.
export function openHistory(last) {
  const shown = el("div", {}, el("p", { class: "muted" }, "Reading …"));
  const turning = latest();
  const turn = async (days) => {
    last = addDays(last, days);
    const isLast = turning();
    const content = await historyUntil(last);
    if (isLast()) shown.replaceChildren(content);
  };
  open(
    "Usage history",
    shown,
    el(
      "menu",
      {},
      el("button", { type: "button", onclick: () => turn(-DAYS) }, "‹ Earlier"),
      el("button", { type: "button", onclick: () => turn(DAYS) }, "Later ›"),
    ),
  );
  turn(0);
}
