// FullCalendar, in the channel's zone: it is given wall clock times as if they were UTC's.

import { barsOf, updateBars } from "./bars.js";
import { read } from "./api.js";
import { el } from "./dom.js";
import { addDays, asDate, dayOf, grouped, monthText, shortDay, spanText, timeOf, videoName } from "./format.js";
import { latest } from "./latest.js";
import { keepPlace, watchPlace } from "./place.js";
import { localNow, state, today } from "./state.js";

const GLYPHS = { scheduled: "", uploading: "↑", completed: "✓", failed: "!" };
const WARNED_DAYS = 28;
const MOST_SLOTS = 300;
const NARROW = window.matchMedia("(max-width: 640px)");

let calendar = null;
let handlers = {};
// Hands that hold something: nothing is read anew under them, but once they have let go.
let hands = 0;
let wanted = false;
const loading = latest();

const spanOf = (info) => ({ from: dayOf(info.start), days: (info.end - info.start) / 86400000 });
export const isNarrow = () => NARROW.matches;
export const shown = () =>
  spanOf({ start: calendar.view.activeStart, end: calendar.view.activeEnd });
export function title() {
  const { currentStart, currentEnd } = calendar.view;
  if (isMonth()) return monthText(currentStart);
  return spanText(currentStart, new Date(currentEnd.getTime() - 1));
}
export const isMonth = () => calendar.view.type === "month";

function entryEvent(entry) {
  return {
    id: `r${entry.reservation_id}`,
    start: `${entry.day}T${entry.local_time}:00`,
    title: videoName(entry.video_path),
    classNames: ["booked", entry.upload_status],
    startEditable: entry.upload_status === "scheduled",
    extendedProps: { entry },
  };
}

function freeEvent(slot) {
  return {
    id: `f${slot.day}T${slot.local_time}`,
    start: `${slot.day}T${slot.local_time}:00`,
    title: "free",
    classNames: ["free"],
    startEditable: false,
    extendedProps: { slot },
  };
}

// Where nothing is published: the span itself among hours, the days that it covers wholly in a month.
function closedEvents(blackouts, span) {
  const first = `${span.from}T00:00:00`;
  const last = `${addDays(span.from, span.days)}T00:00:00`;
  const whole = isMonth();
  return blackouts.flatMap((blackout) => {
    let start = blackout.local_from > first ? blackout.local_from : first;
    let end = blackout.local_to && blackout.local_to < last ? blackout.local_to : last;
    if (whole) {
      start = start.endsWith("T00:00:00") ? start.slice(0, 10) : addDays(start.slice(0, 10), 1);
      end = end.slice(0, 10);
    }
    if (start >= end) return [];
    const id = `b${blackout.blackout_id}`;
    return [{ id, start, end, allDay: whole, display: "background", title: blackout.reason, classNames: ["closed"] }];
  });
}

// Of each day the free posting times, or else its first free slot: enough to click on, and few
// enough to step through by keyboard. Every other time can be clicked as well.
function offered(slots) {
  return [...grouped(slots).values()].flatMap((ofDay) => {
    const posting = ofDay.filter((slot) => state.settings.posting_times.includes(slot.local_time));
    return posting.length ? posting : ofDay.slice(0, 1);
  });
}

async function freeSlots(span) {
  const last = addDays(span.from, span.days);
  const from = span.from < today() ? today() : span.from;
  const horizon = (asDate(last) - asDate(from)) / 86400000;
  if (!state.type || horizon <= 0 || span.days > 7) return [];
  const parameters = { type: state.type, from, count: MOST_SLOTS, horizon_days: horizon };
  return read(state.channel, "slots", parameters);
}

// Everything that the page shows of some days, read at once.
async function load(span) {
  await handlers.reading(span);
  const [booked, usage, warnings, blackouts, slots] = await Promise.all([
    read(state.channel, "calendar", span),
    read(state.channel, "usage", span),
    read(state.channel, "warnings", { from: today(), days: WARNED_DAYS }),
    read(state.channel, "blackouts"),
    freeSlots(span),
  ]);
  return { booked, usage, warnings, blackouts, slots };
}

async function events(info) {
  const span = spanOf(info);
  const isLast = loading();
  try {
    const found = await load(span);
    return isLast() ? taken(found, span) : [];
  } catch (problem) {
    if (isLast()) throw problem;
    return [];
  }
}

function taken({ booked, usage, warnings, blackouts, slots }, span) {
  state.entries = new Map(booked.entries.map((entry) => [entry.reservation_id, entry]));
  state.usage = grouped(usage);
  state.warnings = warnings;
  updateBars();
  handlers.loaded(booked.entries, slots);
  return [
    ...booked.entries.map(entryEvent),
    ...offered(slots).map(freeEvent),
    ...closedEvents(blackouts, span),
  ];
}

const isClosed = (event) => event.display === "background";

function face({ event, timeText }) {
  const { entry, slot } = event.extendedProps;
  if (isClosed(event)) return { domNodes: [el("span", { class: "why" }, event.title)] };
  const time = el("span", { class: "at" }, timeText);
  if (!entry) {
    const rest = el("span", { class: "unseen" }, `: book a ${state.type} on ${shortDay(slot.day)}`);
    return { domNodes: [time, el("span", { class: "what" }, "+ free"), rest] };
  }
  return {
    domNodes: [
      el(
        "span",
        { class: "at" },
        timeText,
        GLYPHS[entry.upload_status] && el("b", { "aria-hidden": "true" }, ` ${GLYPHS[entry.upload_status]}`),
        el("span", { class: "kind" }, entry.video_type),
      ),
      el("span", { class: "what" }, event.title),
      el("span", { class: "unseen" }, `, ${shortDay(entry.day)}, ${entry.upload_status}`),
    ],
  };
}

function label({ event, el: node }) {
  const { entry } = event.extendedProps;
  if (isClosed(event)) return;
  node.setAttribute("role", "button");
  node.dataset.id = event.id;
  node.dataset.start = event.startStr;
  if (entry) node.title = `${entry.local_time} ${entry.video_type}: ${event.title} (${entry.upload_status})`;
}

const dayButton = (day, text) =>
  el(
    "button",
    {
      type: "button",
      class: "day",
      "aria-haspopup": "dialog",
      "data-day": day,
      onclick: () => handlers.day(day),
    },
    el("span", { class: "date" }, text),
    barsOf(day),
  );

function dayHeader({ date, view }) {
  const day = dayOf(date);
  if (view.type === "month") return shortDay(day).slice(0, 3);
  const [weekday, number, month] = shortDay(day).split(" ");
  return { domNodes: [dayButton(day, [`${weekday} ${number}`, el("span", { class: "month" }, ` ${month}`)])] };
}

const dayCell = ({ date, view }) =>
  view.type === "month"
    ? { domNodes: [dayButton(dayOf(date), String(date.getUTCDate()))] }
    : undefined;

export function createCalendar(node, given, { date, view }) {
  handlers = given;
  calendar = new FullCalendar.Calendar(node, {
    timeZone: "UTC",
    now: localNow,
    initialDate: date,
    initialView: view,
    views: {
      week: { type: "timeGrid", duration: { weeks: 1 } },
      days: { type: "timeGrid", duration: { days: 3 }, dateAlignment: "day" },
      month: { type: "dayGridMonth" },
    },
    firstDay: 1,
    fixedWeekCount: false,
    headerToolbar: false,
    height: "100%",
    expandRows: true,
    allDaySlot: false,
    nowIndicator: true,
    scrollTime: "08:30:00",
    scrollTimeReset: false,
    // As long as the steps of a drag: it goes by the middle of the slot under the hand, and the middle of
    // an hour is the edge of a half.
    slotDuration: "00:30:00",
    slotLabelInterval: "01:00:00",
    slotLabelFormat: { hour: "2-digit", minute: "2-digit", hour12: false },
    eventTimeFormat: { hour: "2-digit", minute: "2-digit", hour12: false },
    defaultTimedEventDuration: "01:00:00",
    slotEventOverlap: false,
    dayMaxEvents: true,
    editable: true,
    eventDurationEditable: false,
    eventInteractive: true,
    longPressDelay: 300,
    dragRevertDuration: 200,
    lazyFetching: false,
    events,
    eventsSet: () => setTimeout(keepPlace),
    eventSourceFailure: (error) => handlers.failed(error),
    loading: (busy) => handlers.loading(busy),
    datesSet: () => handlers.datesSet(),
    eventContent: face,
    eventDidMount: label,
    dayHeaderContent: dayHeader,
    dayCellContent: dayCell,
    // Its content names a day better than its number alone.
    dayCellDidMount: ({ el: node }) => node.removeAttribute("aria-labelledby"),
    moreLinkContent: ({ num }) => ({ domNodes: [el("span", {}, `+${num}`, el("span", { class: "wide" }, " more"))] }),
    // The dialog of the day lists them all. A popover opens as well unless something is returned
    // that is no name of a view.
    moreLinkClick: ({ date: at, jsEvent }) => {
      jsEvent.preventDefault();
      handlers.day(dayOf(at));
      return true;
    },
    moreLinkDidMount: ({ el: node }) => {
      node.setAttribute("role", "button");
      node.removeAttribute("aria-controls");
    },
    eventDragStart: hold,
    // A drop, if there is one, follows at once.
    eventDragStop: () => setTimeout(letGo),
    eventDrop: async (info) => {
      hold();
      try {
        await handlers.drop(info, dayOf(info.event.start), timeOf(info.event.start));
      } finally {
        letGo();
      }
    },
    eventClick: ({ event, jsEvent }) => {
      jsEvent.preventDefault();
      const { entry, slot } = event.extendedProps;
      if (entry) handlers.entry(entry);
      else if (slot) handlers.free(slot.day, slot.local_time);
    },
    dateClick: ({ date: at, view: within }) =>
      within.type === "month" ? handlers.day(dayOf(at)) : handlers.free(dayOf(at), timeOf(at)),
  });
  calendar.render();
  watchPlace();
  return calendar;
}

// Reads what is to be shown instead, whoever holds what is shown.
export const reload = () => calendar?.refetchEvents();

// Reads again what is shown.
export function refresh() {
  wanted = hands > 0;
  if (!wanted) reload();
}

function hold() {
  hands += 1;
}

function letGo() {
  hands -= 1;
  if (wanted) refresh();
}
