// The limits of a day as bars.

import { el } from "./dom.js";
import { compact, limitName, number, resetText } from "./format.js";
import { limitsInOrder, resetOf, state } from "./state.js";

const FULL = 100;

function level(row, charge) {
  if (row.used_percent >= FULL) return "full";
  return row.used_percent >= charge.warn_percent ? "high" : "fine";
}

export function track(row, charge) {
  const fill = el("span", { class: `fill ${level(row, charge)}` });
  // Through the object model: the content security policy refuses style attributes.
  fill.style.width = `${Math.min(row.used_percent, FULL)}%`;
  return el("span", { class: "track" }, fill);
}

function rowsOf(day) {
  const rows = new Map((state.usage.get(day) || []).map((row) => [row.limit_id, row]));
  return limitsInOrder().map((charge) => [charge, rows.get(charge.limit_id)]);
}

// In thousands, the used alone has to do where there is no room for both.
const shortCount = (row) =>
  el(
    "span",
    { class: "count" },
    compact(row.used_units),
    el("span", { class: row.max_units < 1000 ? "" : "most" }, `/${compact(row.max_units)}`),
  );

// What stands in a day's head. Empty tracks keep the room until the numbers are there.
export function barsOf(day) {
  const bars = el("span", { class: "bars", "data-bars": day });
  fillBars(bars);
  return bars;
}

function fillBars(bars) {
  bars.replaceChildren(
    ...rowsOf(bars.dataset.bars).map(([charge, row]) =>
      el(
        "span",
        { class: "limit", "aria-hidden": "true" },
        el(
          "span",
          { class: "name" },
          limitName(charge.limit_id),
          row && el("span", { class: "until" }, `↻ ${resetOf(row.resets_at).time}`),
        ),
        row ? shortCount(row) : el("span", { class: "count" }),
        row ? track(row, charge) : el("span", { class: "track" }),
      ),
    ),
    el("span", { class: "unseen" }, described(bars.dataset.bars)),
  );
}

// The same for those who do not see bars.
const described = (day) =>
  rowsOf(day)
    .filter(([, row]) => row)
    .map(([charge, row]) => `, ${limitName(charge.limit_id)} ${row.used_units} of ${row.max_units}`)
    .join("");

export function updateBars() {
  for (const bars of document.querySelectorAll("[data-bars]")) fillBars(bars);
}

// The same at length, for the dialog of a day.
export function limitList(day) {
  return el(
    "ul",
    { class: "limits" },
    rowsOf(day).map(([charge, row]) =>
      row &&
      el(
        "li",
        {},
        el("span", { class: "name" }, limitName(charge.limit_id)),
        el("span", { class: "count" }, `${number(row.used_units)} of ${number(row.max_units)}`),
        track(row, charge),
        el("span", { class: "reset" }, resetText(row.resets_at, state.settings.time_zone)),
      ),
    ),
  );
}
