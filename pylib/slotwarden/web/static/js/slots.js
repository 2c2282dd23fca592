// Free slots as a form offers them.

import * as api from "./api.js";
import { el } from "./dom.js";
import { shortDay, slotText } from "./format.js";
import { latest } from "./latest.js";
import { explain } from "./notices.js";
import { state, today } from "./state.js";

const MOST_TIMES = 40;

// The first free slot at or after a time; undefined if there is none within two weeks of it.
export async function nextFree(type, day, time = "00:00") {
  const from = day < today() ? today() : day;
  const slots = await api.read(state.channel, "slots", { type, from, count: MOST_TIMES });
  return slots.find((slot) => `${slot.day}T${slot.local_time}` >= `${day}T${time}`) ?? slots[0];
}

export function slotFields(day, time) {
  const date = el("input", { type: "date", name: "date", required: true, value: day, min: today() });
  const at = el("input", { type: "time", name: "time", required: true, value: time ?? "", step: 60 });
  return { date, time: at };
}

// What to do where a day has nothing free: another day, or for what is booked on it another time.
async function fullDay(inputs, day) {
  const type = inputs.type();
  if (day === inputs.own) {
    return [el("p", { class: "muted" }, "The day has room for no other, but within the day this one may move.")];
  }
  const why = day < today() ? `${shortDay(day)} has passed.` : `Nothing is free for a ${type} on ${shortDay(day)}.`;
  const slot = await nextFree(type, day).catch(() => undefined);
  const take = () => {
    inputs.date.value = slot.day;
    inputs.time.value = slot.local_time;
    inputs.date.dispatchEvent(new Event("change"));
  };
  return [
    el("p", { class: "muted" }, why),
    slot && el("button", { type: "button", onclick: take }, `First free: ${slotText(slot.day, slot.local_time)}`),
  ].filter(Boolean);
}

// Buttons for the free times of the day that the form names, posting times among them marked.
export function freeTimes(inputs) {
  const list = el("div", { class: "times", role: "group", "aria-label": "Free times of this day" });
  const asking = latest();
  const show = async () => {
    const day = inputs.date.value;
    if (!day) return;
    const isLast = asking();
    const content = await timesOf(day).catch((problem) => [el("p", { class: "muted" }, explain(problem))]);
    if (isLast()) list.replaceChildren(...content);
  };
  const timesOf = async (day) => {
    const wanted = { type: inputs.type(), from: day, count: MOST_TIMES, horizon_days: 1 };
    const slots = await api.read(state.channel, "slots", wanted);
    if (!slots.length) return fullDay(inputs, day);
    return slots.sort((a, b) => a.local_time.localeCompare(b.local_time)).map(offered);
  };
  const offered = ({ local_time: time }) => {
    const posting = state.settings.posting_times.includes(time);
    const pick = () => { inputs.time.value = time; };
    return el(
      "button",
      { type: "button", class: posting ? "posting" : "", title: posting ? "a posting time" : null, onclick: pick },
      time,
    );
  };
  inputs.date.addEventListener("change", show);
  inputs.watch?.addEventListener("change", show);
  show();
  return list;
}
