/**
 * A month of days, each with how many calls began on it. A click takes a day, a drag or a click with Shift a stretch.
 * @module
 */
import { aborted, get, newest } from "../../api.js";
import { button, errorText } from "../../components.js";
import { h, replace, setText } from "../../dom.js";
import { counted, LOCALE, ZONE } from "../../format.js";
import { filtersOf, midnight, periodOf, timesOf } from "./query.js";

const monthName = new Intl.DateTimeFormat(LOCALE, { month: "long", year: "numeric" });
const dayName = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const weekday = new Intl.DateTimeFormat(LOCALE, { weekday: "narrow" });
const weekdayLong = new Intl.DateTimeFormat(LOCALE, { weekday: "long" });
const STEPS = 4;

/** The week begins on this day; 1 is Monday. */
function firstWeekday() {
  try {
    const locale = new Intl.Locale(navigator.language);
    return (locale.getWeekInfo?.() ?? locale.weekInfo)?.firstDay ?? 1;
  } catch {
    return 1;
  }
}

const isoDay = (at) => [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((n) => String(n).padStart(2, "0")).join("-");

/**
 * @param {import("../../app.js").Context} context
 * @param {(from: number, until: number) => void} onPick from when until when, epoch milliseconds
 * @returns {{element: HTMLElement, refresh: () => Promise<void>}}
 */
export function calendar({ params, signal }, onPick) {
  const label = h("h2", { "aria-live": "polite" });
  const grid = h("div", { class: "days", role: "group" });
  const note = h("p", { class: "hint", role: "status" });
  const shift = (by) => () => {
    month = new Date(month.getFullYear(), month.getMonth() + by, 1);
    return refresh();
  };
  const head = h(
    "div",
    { class: "calendar-head" },
    button("", { icon: "left", kind: "plain", small: true, title: "Month before", onclick: shift(-1) }),
    label,
    button("", { icon: "right", kind: "plain", small: true, title: "Month after", onclick: shift(1) }),
  );
  const element = h("section", { class: "card calendar", "aria-label": "Days" }, head, grid, note);
  let month = startOf(timesOf(params));
  const turn = newest(signal);
  let begun = null;
  let last = null;
  let moved = false;

  function startOf({ from, until }) {
    const at = new Date(until === null ? (from !== null && from > Date.now() ? from : Date.now()) : until - 1);
    return new Date(at.getFullYear(), at.getMonth(), 1);
  }

  function mark() {
    const [a, b] = [begun, last].sort((x, y) => x - y);
    for (const one of grid.querySelectorAll("button")) {
      const at = Number(one.dataset.at);
      one.classList.toggle("marked", begun !== null && at >= a && at <= b);
    }
  }

  function pick(a, b) {
    const [from, to] = [a, b].sort((x, y) => x - y);
    begun = null;
    onPick(from, midnight(new Date(to), 1).getTime());
  }

  const dayOf = (event) => {
    const target = document.elementFromPoint(event.clientX, event.clientY)?.closest("button[data-at]");
    return target && grid.contains(target) ? Number(target.dataset.at) : null;
  };
  grid.addEventListener("pointerdown", (event) => {
    const at = dayOf(event);
    if (at === null || event.button !== 0 || event.shiftKey) return;
    [begun, last, moved] = [at, at, false];
  });
  grid.addEventListener("pointermove", (event) => {
    const at = begun === null ? null : dayOf(event);
    if (at === null || at === last) return;
    [last, moved] = [at, true];
    mark();
  });
  window.addEventListener("pointerup", () => {
    if (begun !== null && moved) pick(begun, last);
    begun = null;
    mark();
  }, { signal });
  window.addEventListener("pointercancel", () => {
    begun = null;
    mark();
  }, { signal });
  grid.addEventListener("click", (event) => {
    const one = event.target.closest("button[data-at]");
    if (!one) return;
    if (moved) {
      moved = false;
      return;
    }
    const at = Number(one.dataset.at);
    const { from, until } = timesOf(params);
    if (event.shiftKey && from !== null && until !== null) pick(at < from ? at : midnight(new Date(from)).getTime(), at < from ? until - 1 : at);
    else pick(at, at);
  });

  function draw(days) {
    const counts = new Map(days.map((one) => [one.day, one]));
    const most = Math.max(1, ...days.map((one) => one.calls));
    const { from, until } = timesOf(params);
    const first = firstWeekday();
    const lead = (month.getDay() - (first % 7) + 7) % 7;
    const names = Array.from({ length: 7 }, (_, n) => new Date(2026, 1, 1 + ((first + n) % 7)));
    const heads = names.map((at) => h("span", { class: "weekday", title: weekdayLong.format(at), "aria-hidden": "true" }, weekday.format(at)));
    const blanks = Array.from({ length: lead }, () => h("span", {}));
    const cells = [];
    for (let at = new Date(month); at.getMonth() === month.getMonth(); at = midnight(at, 1)) {
      const { calls = 0, recorded = 0 } = counts.get(isoDay(at)) ?? {};
      const step = calls === 0 ? 0 : Math.max(1, Math.ceil((calls / most) * STEPS));
      const start = at.getTime();
      const chosen = periodOf(params) === "" && (from ?? -Infinity) <= start && start < (until ?? Infinity);
      const words = `${dayName.format(at)}: ${counted(calls, "call")}, ${recorded} recorded`;
      cells.push(
        h(
          "button",
          {
            type: "button",
            class: ["day", `heat-${step}`, isoDay(at) === isoDay(new Date()) && "today"],
            dataset: { at: String(start) },
            title: words,
            "aria-label": words,
            "aria-pressed": String(chosen),
          },
          String(at.getDate()),
        ),
      );
    }
    const focused = grid.contains(document.activeElement) ? document.activeElement.dataset.at : null;
    replace(grid, heads, blanks, cells);
    if (focused) grid.querySelector(`[data-at="${focused}"]`)?.focus();
  }

  async function refresh() {
    setText(label, monthName.format(month));
    grid.setAttribute("aria-label", monthName.format(month));
    const until = new Date(month.getFullYear(), month.getMonth() + 1, 1).getTime();
    const query = { ...filtersOf(params), from: Math.max(0, month.getTime()), until, zone: ZONE };
    try {
      const found = await get("/api/v1/cdrs/days", query, { signal: turn() });
      draw(found.items);
      setText(note, found.atLeast ? "There are more calls than are counted here." : "");
    } catch (error) {
      if (aborted(error)) return;
      draw([]);
      setText(note, errorText(error));
    }
  }

  return {
    element,
    refresh: () => {
      const { from, until } = timesOf(params);
      const end = new Date(month.getFullYear(), month.getMonth() + 1, 1).getTime();
      // It stays where it is as long as something of what is chosen can be seen.
      if ((from ?? -Infinity) >= end || (until ?? Infinity) <= month.getTime()) month = startOf({ from, until });
      return refresh();
    },
  };
}
