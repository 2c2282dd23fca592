// Puts the page together.

import * as api from "./api.js";
import * as view from "./calendar.js";
import * as dialogs from "./dialogs.js";
import { byId, el } from "./dom.js";
import { addDays, slotText, videoName } from "./format.js";
import { openHistory } from "./history.js";
import { latest } from "./latest.js";
import { follow, pulse, pulseAsStreaming, stopFollowing } from "./live.js";
import { dismiss, explain, notify, wantsAnotherSlot } from "./notices.js";
import { keepPlace } from "./place.js";
import { forgetDismissed, showDays, showFailure, showLocked } from "./sheet.js";
import { nextFree } from "./slots.js";
import { rememberNow, state, today } from "./state.js";

const RETRY_MS = 4000;
const HERE = ["localhost", "127.0.0.1", "[::1]"];
// What there is nothing to do with before the calendar is there.
const CONTROLS = ["warnings", "next-free", "history", "back", "today", "ahead", "view-week", "view-month"];

let calendar = null;
let failing = false;
const choosing = latest();

// --- what is asked for in the address -----------------------------------------------------------

const address = new URLSearchParams(location.hash.slice(1));

function remember() {
  const kept = new URLSearchParams({ channel: state.channel, type: state.type });
  kept.set("date", calendar.getDate().toISOString().slice(0, 10));
  if (view.isMonth()) kept.set("view", "month");
  history.replaceState(null, "", `#${kept}`);
}

// --- states of the sheet ------------------------------------------------------------------------

function cannotShow(problem, retry) {
  pulse(problem.name === "Offline" ? "offline" : "away");
  showFailure(problem, retry);
}

function loaded(entries, slots) {
  failing = false;
  pulseAsStreaming();
  byId("warning-count").textContent = state.warnings.length;
  byId("warnings").classList.toggle("some", state.warnings.length > 0);
  showDays(view.shown().from, { entries, slots }, (day) => calendar.gotoDate(day));
}

function failed(problem) {
  if (problem.status === 401) {
    enter();
    return;
  }
  failing = true;
  cannotShow(problem, view.refresh);
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
  reading: (span) => document.hidden || follow(state.channel, span, view.refresh),
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
  },
  drop: async (info, day, time) => {
    const { entry } = info.event.extendedProps;
    try {
      done(await api.move(entry, { date: day, time }), "Moved");
    } catch (problem) {
      info.revert();
      refuse(problem, entry, day, time);
    }
  },
};

// Says why it went back to its place, and what would do instead.
async function refuse(problem, entry, day, time) {
  const name = videoName(entry.video_path);
  const text =
    problem.name === "OutcomeUnknown"
      ? `Was ${name} moved?`
      : `${name} stays on ${slotText(entry.day, entry.local_time)}`;
  const why = explain(problem);
  view.refresh();
  notify(text, { kind: "bad", detail: why });
  if (!wantsAnotherSlot(problem)) return;
  const slot = await nextFree(entry.video_type, day, time).catch(() => undefined);
  if (!slot) return;
  const take = async () => {
    try {
      done(await api.move(entry, { date: slot.day, time: slot.local_time }), "Moved");
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
  byId("channel").onchange = ({ target }) => changeChannel(target.value);
  byId("type").onchange = ({ target }) => {
    state.type = target.value;
    remember();
    view.reload();
  };
  byId("dialog").addEventListener("click", (event) => {
    // Only the backdrop is the dialog itself: its content fills it.
    if (event.target === event.currentTarget) dialogs.close();
  });
  byId("dialog").addEventListener("close", keepPlace);
  window.addEventListener("online", view.refresh);
  // A server on this machine needs no network.
  if (!HERE.includes(location.hostname)) window.addEventListener("offline", () => pulse("offline"));
  window.addEventListener("pagehide", stopFollowing);
  // Browsers open few connections to one host, over all their tabs: one that nobody looks at needs none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stopFollowing();
    else view.refresh();
  });
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
}

// Until the answer is there, nothing can be booked: the picker names one channel, the days are another's.
async function changeChannel(name) {
  const isLast = choosing();
  offerControls(false);
  let settings = null;
  let problem = null;
  try {
    settings = await api.channel(name);
  } catch (error) {
    problem = error;
  }
  if (!isLast()) return;
  offerControls(true);
  if (settings) {
    useChannel(name, settings);
    return;
  }
  byId("channel").value = state.channel;
  if (problem.status === 401) enter();
  else notify(`${name} cannot be shown`, { kind: "bad", detail: explain(problem) });
}

function offerControls(offered) {
  for (const name of CONTROLS) byId(name).disabled = !offered;
  byId("calendar").inert = !offered;
}

function useChannel(name, settings) {
  state.settings = settings;
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
  forgetDismissed();
  // What was offered there is of no use here.
  dismiss();
  if (!calendar) return;
  // Heads of days are drawn anew: another channel may have other limits.
  calendar.render();
  remember();
  view.reload();
}

// --- the beginning ------------------------------------------------------------------------------

async function start() {
  try {
    const { channels, feed_token: feedToken } = await api.channels();
    state.feedToken = feedToken;
    const asked = state.channel ?? address.get("channel");
    const first = channels.includes(asked) ? asked : channels[0];
    choices(byId("channel"), channels, first);
    state.type ??= address.get("type");
    useChannel(first, await api.channel(first));
    show();
  } catch (problem) {
    if (problem.status === 401) enter();
    else {
      cannotShow(problem, start);
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
  byId("channel").disabled = false;
  byId("type").disabled = false;
  offerControls(true);
  actions.datesSet();
}

function enter() {
  pulse("locked");
  showLocked(() => dialogs.openEntrance(start));
  dialogs.openEntrance(start);
}

wire();
start();
