// Puts the page together.

import * as api from "./api.js";
import * as view from "./calendar.js";
import * as dialogs from "./dialogs.js";
import { byId, el } from "./dom.js";
import { addDays, shortDay, slotText, videoName } from "./format.js";
import { openHistory } from "./history.js";
import { follow, pulse, stopFollowing } from "./live.js";
import { dismiss, explain, notify, wantsAnotherSlot } from "./notices.js";
import { nextFree } from "./slots.js";
import { rememberNow, state, today } from "./state.js";

const RETRY_MS = 4000;
const LOOKED_AHEAD_DAYS = 90;
// What there is nothing to do with before the calendar is there.
const CONTROLS = ["warnings", "next-free", "history", "back", "today", "ahead", "view-week", "view-month"];

let calendar = null;
let failing = false;
// How often days were loaded, and the first of those whose card was put away.
let emptied = 0;
let dismissed = null;

// --- what is asked for in the address -----------------------------------------------------------

const address = new URLSearchParams(location.hash.slice(1));

function remember() {
  const kept = new URLSearchParams({ channel: state.channel, type: state.type });
  kept.set("date", calendar.getDate().toISOString().slice(0, 10));
  if (view.isMonth()) kept.set("view", "month");
  history.replaceState(null, "", `#${kept}`);
}

// --- states of the sheet ------------------------------------------------------------------------

function overlay(...content) {
  const node = byId("overlay");
  node.hidden = content.length === 0;
  node.replaceChildren(...content);
}

function showFailure(problem, retry) {
  pulse(problem.name === "Offline" ? "offline" : "away");
  overlay(
    el(
      "div",
      { class: "card bad" },
      el("p", {}, el("strong", {}, problem.title ?? "Something went wrong")),
      el("p", {}, explain(problem)),
      el("button", { type: "button", class: "primary", onclick: retry }, "Try now"),
    ),
  );
}

function loaded(entries, slots) {
  failing = false;
  byId("warning-count").textContent = state.warnings.length;
  byId("warnings").classList.toggle("some", state.warnings.length > 0);
  const hint = slots.length ? "Click a free slot to book it." : "";
  emptied += 1;
  if (entries.length || dismissed === view.shown().from) overlay();
  else showEmpty(hint, emptied);
}

// Leads to where something is booked: an empty week is no dead end.
async function showEmpty(hint, asked) {
  const { from } = view.shown();
  const ahead = { from: today(), days: LOOKED_AHEAD_DAYS };
  const { entries } = await api.read(state.channel, "calendar", ahead).catch(() => ({ entries: [] }));
  // Drawn once, when all is known: a card that grows would move under the hand.
  if (asked !== emptied) return;
  const next = entries.find((entry) => entry.day >= from) ?? entries[0];
  const show = () => calendar.gotoDate(next.day);
  const hide = () => {
    dismissed = from;
    overlay();
  };
  overlay(
    el(
      "div",
      { class: "card" },
      el("p", {}, `Nothing is booked in these days. ${hint}`),
      next && el("button", { type: "button", onclick: show }, `Next booking: ${shortDay(next.day)}`),
      el("button", { type: "button", class: "quiet", onclick: hide }, "Hide"),
    ),
  );
}

function failed(problem) {
  if (problem.status === 401) {
    enter();
    return;
  }
  failing = true;
  showFailure(problem, view.refresh);
  setTimeout(() => failing && view.refresh(), RETRY_MS);
}

// --- what people do -----------------------------------------------------------------------------

function done(reservation, verb) {
  const when = slotText(reservation.local_date, reservation.local_time);
  notify(`${verb}: ${videoName(reservation.video_path)}`, {
    detail: verb === "Cancelled" ? "Its slot is free again." : `${reservation.video_type}, ${when}`,
  });
  view.refresh();
}

const actions = {
  entry: (entry) => dialogs.openEntry(entry, done),
  free: (day, time) => dialogs.openBooking(day, time, done),
  book: (day) => dialogs.openBooking(day, undefined, done),
  day: (day) => dialogs.openDay(day, actions),
  loaded,
  failed,
  loading: (busy) => {
    byId("progress").hidden = !busy;
    byId("calendar").setAttribute("aria-busy", String(busy));
  },
  datesSet: () => {
    if (!calendar) return;
    byId("title").textContent = view.title();
    byId("view-month").setAttribute("aria-pressed", String(view.isMonth()));
    byId("view-week").setAttribute("aria-pressed", String(!view.isMonth()));
    remember();
    follow(state.channel, view.shown(), view.refresh);
  },
  drop: async (info, day, time) => {
    const { entry } = info.event.extendedProps;
    try {
      done(await api.move(entry, day, time), "Moved");
    } catch (problem) {
      info.revert();
      await refuse(problem, entry, day, time);
    }
    view.refreshIfWanted();
  },
};

// Says why it went back to its place, and what would do instead.
async function refuse(problem, entry, day, time) {
  const text = `${videoName(entry.video_path)} stays on ${slotText(entry.day, entry.local_time)}`;
  const why = explain(problem);
  view.refresh();
  notify(text, { kind: "bad", detail: why });
  if (!wantsAnotherSlot(problem)) return;
  const slot = await nextFree(entry.video_type, day, time).catch(() => undefined);
  if (!slot) return;
  const take = async () => {
    try {
      done(await api.move(entry, slot.day, slot.local_time), "Moved");
    } catch (again) {
      await refuse(again, entry, slot.day, slot.local_time);
    }
  };
  const offer = `Move to ${slotText(slot.day, slot.local_time)}`;
  notify(text, { kind: "bad", detail: why, actions: [[offer, take]] });
}

const bookNext = () =>
  dialogs.openNext((booked, verb) => {
    calendar.gotoDate(booked.local_date);
    done(booked, verb);
  });

function goTo(day) {
  calendar.gotoDate(day);
  dialogs.close();
}

// --- controls -----------------------------------------------------------------------------------

function choices(select, names, chosen) {
  select.replaceChildren(...names.map((name) => el("option", { value: name, selected: name === chosen }, name)));
  select.disabled = false;
}

function wire() {
  byId("back").onclick = () => calendar.prev();
  byId("ahead").onclick = () => calendar.next();
  byId("today").onclick = () => calendar.today();
  byId("view-week").onclick = () => calendar.changeView(view.isNarrow() ? "days" : "week");
  byId("view-month").onclick = () => calendar.changeView("month");
  byId("warnings").onclick = () => dialogs.openWarnings(goTo);
  byId("next-free").onclick = bookNext;
  byId("history").onclick = () => {
    const { from, days } = view.shown();
    openHistory(addDays(from, days - 1));
  };
  byId("channel").onchange = ({ target }) => useChannel(target.value).catch(failed);
  byId("type").onchange = ({ target }) => {
    state.type = target.value;
    remember();
    view.refresh();
  };
  byId("dialog").addEventListener("click", (event) => {
    // Only the backdrop is the dialog itself: its content fills it.
    if (event.target === event.currentTarget) dialogs.close();
  });
  window.addEventListener("online", view.refresh);
  window.addEventListener("offline", () => pulse("offline"));
  window.addEventListener("pagehide", stopFollowing);
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
}

async function useChannel(name) {
  state.settings = await api.channel(name);
  rememberNow();
  state.channel = name;
  const types = state.settings.types.map((each) => each.video_type);
  if (!types.includes(state.type)) state.type = types.includes("final") ? "final" : types[0];
  choices(byId("type"), types, state.type);
  byId("zone").textContent = state.settings.time_zone;
  byId("zone").title = "All times are on the clock of this zone";
  byId("feed").href = api.feedPath(name, state.feedToken);
  byId("feed").classList.remove("later");
  state.entries = new Map();
  state.usage = new Map();
  dismissed = null;
  // What was offered there is of no use here.
  dismiss();
  if (!calendar) return;
  // Heads of days are drawn anew: another channel may have other limits.
  calendar.render();
  follow(state.channel, view.shown(), view.refresh);
  remember();
  view.refresh();
}

// --- the beginning ------------------------------------------------------------------------------

async function start() {
  try {
    const token = address.get("token");
    if (token) {
      address.delete("token");
      history.replaceState(null, "", `#${address}`);
      await api.enter(token);
    }
    const { channels, feed_token: feedToken } = await api.channels();
    state.feedToken = feedToken;
    const asked = address.get("channel");
    const first = channels.includes(asked) ? asked : channels[0];
    choices(byId("channel"), channels, first);
    state.type = address.get("type");
    await useChannel(first);
    show();
  } catch (problem) {
    if (problem.status === 401) enter(problem.title === "Wrong token");
    else {
      showFailure(problem, start);
      setTimeout(() => calendar || byId("dialog").open || start(), RETRY_MS);
    }
  }
}

function show() {
  if (calendar) {
    view.refresh();
    return;
  }
  const week = view.isNarrow() ? "days" : "week";
  calendar = view.createCalendar(byId("calendar"), actions, {
    date: address.get("date") || today(),
    view: address.get("view") === "month" ? "month" : week,
  });
  for (const name of CONTROLS) byId(name).disabled = false;
  actions.datesSet();
}

function enter(wrong = false) {
  pulse("locked");
  const again = () => dialogs.openEntrance(false, start);
  overlay(
    el(
      "div",
      { class: "card" },
      el("p", {}, "Who wants to see this calendar needs its token."),
      el("button", { type: "button", class: "primary", onclick: again }, "Enter the token"),
    ),
  );
  dialogs.openEntrance(wrong, start);
}

wire();
start();
