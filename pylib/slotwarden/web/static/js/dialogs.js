// The one dialog: booking, a reservation, a day, the warnings, the token.

import * as api from "./api.js";
import { limitList } from "./bars.js";
import { byId, el } from "./dom.js";
import { limitName, longDay, number, resetText, shortDay, slotText, videoName } from "./format.js";
import { explain, notify, wantsAnotherSlot } from "./notices.js";
import { freeTimes, nextFree, slotFields } from "./slots.js";
import { state, today } from "./state.js";

const dialog = () => byId("dialog");

export function open(heading, ...children) {
  dialog().replaceChildren(
    el(
      "header",
      {},
      el("h2", { id: "dialog-title", tabIndex: -1 }, heading),
      el("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: close }, "✕"),
    ),
    ...children.filter(Boolean),
  );
  if (!dialog().open) dialog().showModal();
  byId("dialog-title").focus();
}

export const close = () => dialog().close();

const field = (label, input) => el("label", { class: "field" }, el("span", {}, label), input);
const message = () => el("div", { class: "inline", role: "alert" });
const telling = (told) => (problem) => told.replaceChildren(el("p", {}, explain(problem)));

// What is told of a call in its dialog, or beside the calendar if that was put away meanwhile.
function answering(part) {
  const here = () => dialog().open && part.isConnected;
  return {
    done: () => here() && close(),
    failed: (problem, inside) => {
      if (here()) inside(problem);
      else notify(problem.title, { kind: "bad", detail: explain(problem) });
      return here();
    },
  };
}

// Sends what a form says; a refusal is told in the form, with another slot to take instead.
function submitting(form, told, slotInputs, failed, send) {
  const answer = answering(form);
  const unsettled = new Map();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = [...form.querySelectorAll("button")];
    buttons.forEach((button) => { button.disabled = true; });
    told.replaceChildren();
    try {
      await send(unsettled);
      answer.done();
    } catch (problem) {
      const shown = answer.failed(problem, failed);
      if (shown && slotInputs && wantsAnotherSlot(problem)) await offer(told, slotInputs);
    } finally {
      buttons.forEach((button) => { button.disabled = false; });
    }
  });
  return form;
}

async function offer(told, { type, date, time }) {
  const slot = await nextFree(type(), date.value, time.value).catch(() => undefined);
  if (!slot) return;
  const take = () => {
    date.value = slot.day;
    time.value = slot.local_time;
    date.form.requestSubmit();
  };
  told.append(
    el("button", { type: "button", onclick: take }, `Take ${slotText(slot.day, slot.local_time)} instead`),
  );
}

function videoFields() {
  const type = el(
    "select",
    { name: "type" },
    state.settings.types.map((each) =>
      el("option", { value: each.video_type, selected: each.video_type === state.type }, each.video_type),
    ),
  );
  const video = el("input", { name: "video", placeholder: "videos/0001.mp4", autocomplete: "off" });
  return { type, video, named: () => video.value.trim() || undefined };
}

// The server finds the slot: what is told here is what it would take at the moment.
export function openNext(done) {
  const { type, video, named } = videoFields();
  const told = message();
  const where = el("p", { class: "muted", role: "status" }, "\u00a0");
  const look = async () => {
    const asked = type.value;
    const text = await nextFree(asked, today()).then(
      (slot) =>
        slot
          ? `At the moment that is ${slotText(slot.day, slot.local_time)}.`
          : `Nothing is free for a ${asked} within two weeks.`,
      explain,
    );
    if (asked === type.value) where.textContent = text;
  };
  type.addEventListener("change", look);
  look();
  const form = el(
    "form",
    { method: "dialog" },
    field("Video type", type),
    field("Video (its path or name)", video),
    where,
    told,
    el("menu", {}, el("button", { class: "primary" }, "Book")),
  );
  submitting(form, told, null, telling(told), async (unsettled) => {
    const wish = { type: type.value, video: named() };
    done(await api.reserveNext(state.channel, wish, unsettled), "Booked");
  });
  open("Book the next free slot", form);
  video.focus();
}

export function openBooking(day, time, done) {
  const { type, video, named } = videoFields();
  const inputs = { ...slotFields(day, time), type: () => type.value, watch: type };
  const told = message();
  const form = el(
    "form",
    { method: "dialog" },
    field("Video type", type),
    field("Video (its path or name)", video),
    el("div", { class: "pair" }, field("Day", inputs.date), field("Time", inputs.time)),
    freeTimes(inputs),
    told,
    el("menu", {}, el("button", { class: "primary" }, "Book")),
  );
  submitting(form, told, inputs, telling(told), async (unsettled) => {
    const wish = { type: type.value, date: inputs.date.value, time: inputs.time.value, video: named() };
    done(await api.reserve(state.channel, wish, unsettled), "Booked");
  });
  open("Book a slot", form);
  video.focus();
}

// What somebody else made of it: shown as it is now, to be decided upon again.
function changedMeanwhile(entry, problem, told, done) {
  const present = state.entries.get(entry.reservation_id);
  const words = explain(problem);
  if (problem.name !== "StaleVersion") told.replaceChildren(el("p", {}, words));
  else if (present && present.version > entry.version) openEntry(present, done, `${words} This is how it is now.`);
  else told.replaceChildren(el("p", {}, `${words} Close this, and look at it again.`));
}

export function openEntry(entry, done, note = null) {
  const again = entry.upload_status === "failed";
  open(
    videoName(entry.video_path),
    note && el("div", { class: "inline", role: "alert" }, el("p", {}, note)),
    el(
      "dl",
      {},
      ...[
        ["When", slotText(entry.day, entry.local_time)],
        ["Type", entry.video_type],
        ["Status", el("span", { class: `chip ${entry.upload_status}` }, entry.upload_status)],
        ["Video", entry.video_path ?? "none named"],
        ["On YouTube", entry.youtube_video_id],
        ["Error", entry.error_message],
        ["Reservation", `${entry.reservation_id}, version ${entry.version}`],
      ]
        .filter(([, value]) => value)
        .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
    ),
    again || entry.upload_status === "scheduled"
      ? moveForm(entry, again ? api.retry : api.move, again ? "Try again" : "Move", done)
      : el("p", { class: "muted" }, "It is on its way, so it can be neither moved nor cancelled."),
  );
}

function moveForm(entry, send, verb, done) {
  // A failed one holds no place in its day any more.
  const own = entry.upload_status === "scheduled" ? entry.day : null;
  const inputs = { ...slotFields(entry.day, entry.local_time), type: () => entry.video_type, own };
  const told = message();
  const form = el(
    "form",
    { method: "dialog" },
    el("div", { class: "pair" }, field("Day", inputs.date), field("Time", inputs.time)),
    freeTimes(inputs),
    told,
    el(
      "menu",
      {},
      entry.upload_status === "scheduled" && cancelButton(entry, told, done),
      el("button", { class: "primary" }, verb),
    ),
  );
  const failed = (problem) => changedMeanwhile(entry, problem, told, done);
  return submitting(form, told, inputs, failed, async (unsettled) => {
    const wish = { date: inputs.date.value, time: inputs.time.value };
    done(await send(entry, wish, unsettled), verb === "Move" ? "Moved" : "Booked again");
  });
}

// Asks once more on the button itself.
function cancelButton(entry, told, done) {
  const button = el("button", { type: "button", class: "danger" }, "Cancel reservation");
  const answer = answering(button);
  let sure = false;
  button.addEventListener("click", async () => {
    if (!sure) {
      sure = true;
      button.textContent = "Really cancel it?";
      return;
    }
    button.disabled = true;
    try {
      done(await api.cancel(entry), "Cancelled");
      answer.done();
    } catch (problem) {
      answer.failed(problem, () => changedMeanwhile(entry, problem, told, done));
      button.disabled = false;
    }
  });
  return button;
}

export function openDay(day, actions) {
  const booked = [...state.entries.values()].filter((entry) => entry.day === day);
  const show = (entry) => () => actions.entry(entry);
  open(
    longDay(day),
    el("h3", {}, "Limits"),
    limitList(day),
    el("h3", {}, "Booked"),
    booked.length
      ? el(
          "ul",
          { class: "booked-list" },
          booked.map((entry) =>
            el(
              "li",
              {},
              el(
                "button",
                { type: "button", class: entry.upload_status, onclick: show(entry) },
                el("b", {}, entry.local_time),
                ` ${entry.video_type}: ${videoName(entry.video_path)} (${entry.upload_status})`,
              ),
            ),
          ),
        )
      : el("p", { class: "muted" }, day < today() ? "Nothing was." : "Nothing yet."),
    day >= today() &&
      el(
        "menu",
        {},
        el("button", { type: "button", class: "primary", onclick: () => actions.book(day) }, "Book on this day"),
      ),
  );
}

export function openWarnings(goTo) {
  const zone = state.settings.time_zone;
  open(
    "Warnings",
    state.warnings.length
      ? el(
          "ul",
          { class: "warning-list" },
          state.warnings.map((row) =>
            el(
              "li",
              { class: row.used_units >= row.max_units ? "full" : "high" },
              el("button", { type: "button", onclick: () => goTo(row.day) }, `${shortDay(row.day)}: ${limitName(row.limit_id)}`),
              el("span", {}, `${number(row.used_units)} of ${number(row.max_units)} used, ${resetText(row.resets_at, zone)}`),
            ),
          ),
        )
      : el("p", { class: "muted" }, "No limit of the coming four weeks is nearly used up."),
  );
}

export function openEntrance(done) {
  const token = el("input", { type: "password", name: "token", required: true, autocomplete: "current-password" });
  const told = message();
  // For what keeps passwords: it wants a name beside them.
  const name = el("input", { name: "username", autocomplete: "username", value: "slotwarden", hidden: true });
  const form = el("form", { method: "dialog" }, name, field("Token", token), told, el("menu", {}, el("button", { class: "primary" }, "Enter")));
  submitting(form, told, null, telling(told), async () => {
    await api.enter(token.value);
    done();
  });
  open("This calendar asks for a token", form);
  token.focus();
}

