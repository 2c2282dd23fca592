// Days and times. A day is "2027-03-01" and a time "14:00", both on the channel's wall clock. As a
// Date they are held in UTC fields, which no zone of this browser bends.

const wall = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const DAY = wall({ weekday: "short", day: "numeric", month: "short" });
const LONG_DAY = wall({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const MONTH = wall({ month: "long", year: "numeric" });
const SPAN = wall({ day: "numeric", month: "short", year: "numeric" });
const NUMBER = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const asDate = (day, time = "00:00") => new Date(`${day}T${time}:00Z`);
export const dayOf = (date) => date.toISOString().slice(0, 10);
export const timeOf = (date) => date.toISOString().slice(11, 16);
export const addDays = (day, count) => dayOf(new Date(asDate(day).getTime() + count * 86400000));

export const shortDay = (day) => DAY.format(asDate(day)).replace(",", "");
export const longDay = (day) => LONG_DAY.format(asDate(day));
export const slotText = (day, time) => `${shortDay(day)}, ${time}`;
export const monthText = (date) => MONTH.format(date);
export const spanText = (first, last) => SPAN.formatRange(first, last);
export const number = (value) => NUMBER.format(value);
export const compact = (value) => COMPACT.format(value).toLowerCase();

export const videoName = (path) =>
  path?.split("/").findLast((part) => part.trim()) ?? "no video named";
export const limitName = (limit) => limit.split("/").pop().replaceAll("_", " ");

// Rows by their day, in the order in which they come.
export function grouped(rows) {
  const days = new Map();
  for (const row of rows) days.set(row.day, [...(days.get(row.day) || []), row]);
  return days;
}

// An instant on the clock of a zone: its day and time.
export function inZone(instant, zone) {
  let format;
  const options = { dateStyle: "short", timeStyle: "short", hourCycle: "h23" };
  try {
    format = new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: zone });
  } catch {
    format = new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: "UTC" });
  }
  const [day, time] = format.format(new Date(instant)).split(" ");
  return { day, time };
}

export function resetText(instant, zone) {
  const { day, time } = inZone(instant, zone);
  return `resets ${slotText(day, time)}`;
}
