// The one dialog: booking, a reservation, a day, the warnings, the token.

import * as api from "./api.js";
import { limitList } from "./bars.js";
import { byId, el } from "./dom.js";
import { limitName, longDay, number, resetText, shortDay, slotText, videoName } from "./format.js";
import { explain, wantsAnotherSlot } from "./notices.js";
import { state } from "./state.js";

const MOST_TIMES = 40;

const dialog = () => byId("dialog");

function open(heading, ...children) {
  dialog().replaceChildren(
    el(
      "header",
      {},
      el("h2", { id: "dialog-title" }, heading),
      el("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: close }, "✕"),
    ),
    ...children,
  );
  if (!dialog().open) dialog().showModal();
}

export const close = () => dialog().close();

const field = (label, input) => el("label", { class: "field" }, el("span", {}, label), input);
const message = () => el("div", { class: "inline", role: "alert" });

// Sends what a form says; a refusal is told in the form, with another slot to take instead.
function submitting(form, told, slotInputs, send) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = [...form.querySelectorAll("button")];
    buttons.forEach((button) => { button.disabled = true; });
    told.replaceChildren();
    try {
      await send();
      close();
    } catch (problem) {
      told.replaceChildren(el("p", {}, explain(problem)));
      if (slotInputs && wantsAnotherSlot(problem)) await offer(told, slotInputs);
    } finally {
      buttons.forEach((button) => { button.disabled = false; });
    }
  });
  return form;
}

// The first free slot at or after a time; undefined if there is none within two weeks.
export async function nextFree(type, day, time) {
  const slots = await api.read(state.channel, "slots", { type, from: day, count: MOST_TIMES });
  return slots.find((slot) => `${slot.day}T${slot.local_time}` >= `${day}T${time}`) ?? slots[0];
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

function slotFields(day, time) {
  const date = el("input", { type: "date", name: "date", required: true, value: day });
  const at = el("input", { type: "time", name: "time", required: true, value: time ?? "", step: 60 });
  return { date, time: at };
}

// Buttons for the free times of the day that the form names.
function freeTimes(inputs) {
  const list = el("div", { class: "times", role: "group", "aria-label": "Free times of this day" });
  const show = async () => {
    const day = inputs.date.value;
    if (!day) return;
    const slots = await api
      .read(state.channel, "slots", { type: inputs.type(), from: day, count: MOST_TIMES, horizon_days: 1 })
      .catch(() => []);
    if (day !== inputs.date.value) return;
    const pick = (slot) => () => { inputs.time.value = slot.local_time; };
    list.replaceChildren(
      ...(slots.length
        ? slots.map((slot) => el("button", { type: "button", onclick: pick(slot) }, slot.local_time))
        : [el("p", { class: "muted" }, `Nothing is free for a ${inputs.type()} on ${shortDay(day)}.`)]),
    );
  };
  inputs.date.addEventListener("change", show);
  inputs.watch?.addEventListener("change", show);
  show();
  return list;
}

export function openBooking(day, time, done) {
  const type = el(
    "select",
    { name: "type" },
    state.settings.types.map((each) =>
      el("option", { value: each.video_type, selected: each.video_type === state.type }, each.video_type),
    ),
  );
  const video = el("input", { name: "video", placeholder: "videos/0001.mp4", autocomplete: "off" });
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
  submitting(form, told, inputs, async () => {
    const wish = { type: type.value, date: inputs.date.value, time: inputs.time.value };
    if (video.value) wish.video = video.value;
    done(await api.reserve(state.channel, wish), "Booked");
  });
  open("Book a slot", form);
  video.focus();
}

export function openEntry(entry, done) {
  const again = entry.upload_status === "failed";
  open(
    videoName(entry.video_path),
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
  const inputs = { ...slotFields(entry.day, entry.local_time), type: () => entry.video_type };
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
  return submitting(form, told, inputs, async () => {
    done(await send(entry, inputs.date.value, inputs.time.value), verb === "Move" ? "Moved" : "Booked again");
  });
}

// Asks once more on the button itself.
function cancelButton(entry, told, done) {
  const button = el("button", { type: "button", class: "danger" }, "Cancel reservation");
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
      close();
    } catch (problem) {
      told.replaceChildren(el("p", {}, explain(problem)));
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
      : el("p", { class: "muted" }, "Nothing yet."),
    el(
      "menu",
      {},
      el("button", { type: "button", class: "primary", onclick: () => actions.book(day) }, "Book on this day"),
    ),
  );
}

export function openWarnings() {
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
              {},
              el("strong", {}, `${shortDay(row.day)}: ${limitName(row.limit_id)}`),
              el("span", {}, `${number(row.used_units)} of ${number(row.max_units)} used, ${resetText(row.resets_at, zone)}`),
            ),
          ),
        )
      : el("p", { class: "muted" }, "No limit of the coming four weeks is nearly used up."),
  );
}

export function openEntrance(wrong, done) {
  const token = el("input", { type: "password", name: "token", required: true, autocomplete: "current-password" });
  const told = message();
  if (wrong) told.append(el("p", {}, "That token is not the right one."));
  const form = el("form", { method: "dialog" }, field("Token", token), told, el("menu", {}, el("button", { class: "primary" }, "Enter")));
  submitting(form, told, null, async () => {
    await api.enter(token.value);
    done();
  });
  open("This calendar asks for a token", form);
}

