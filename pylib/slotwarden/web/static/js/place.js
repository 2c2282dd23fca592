// Where the keyboard is on the calendar, whose elements are made anew with each read.

// Selectors of the place, the nearest first; null where the keyboard is elsewhere.
let place = null;

// An event is found again by what it is; one that is gone, by what is there in its place.
const placeOf = (node) => {
  const { id, start } = node.closest(".fc-event")?.dataset ?? {};
  return id ? [`[data-id="${id}"]`, `[data-start="${start}"]`, `[data-day="${start.slice(0, 10)}"]`] : null;
};

export function watchPlace() {
  document.addEventListener("focusin", ({ target }) => {
    if (!target.closest("dialog")) place = placeOf(target);
  });
  document.addEventListener("pointerdown", () => { place = null; });
}

// Gives the keyboard its place again, if the element that it was on is gone.
export function keepPlace() {
  // A dialog that closes has the focus until the next frame.
  const nowhere = document.activeElement.matches("body, dialog:not([open]) *");
  if (!place || !nowhere) return;
  const found = place.map((selector) => document.querySelector(`#calendar ${selector}`)).find(Boolean);
  found?.focus({ preventScroll: true });
}
