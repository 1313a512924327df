/**
 * Stacked bars by day, or by week where days would be too thin: SVG, with a table beside it that says the same.
 * @module
 */
import { h } from "../../dom.js";
import { LOCALE, longDuration, percent } from "../../format.js";
import { GROUPS, groupsOf } from "./reasons.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 180;
const STEP = 10;
const LABELS = 8;
const LABELS_ON_A_PHONE = 4;

const dayLabel = new Intl.DateTimeFormat(LOCALE, { month: "short", day: "numeric" });

/** @typedef {{day: string, calls: number, talkedS: number, recordedS: number, reasons: Object<string, number>, faulty: number}} Step */

/**
 * All days from the first to the last, those without calls too.
 * @param {Step[]} days
 * @param {string} first `2026-03-02`
 * @param {string} last
 * @returns {Step[]}
 */
export function filled(days, first, last) {
  const found = new Map(days.map((one) => [one.day, one]));
  const all = [];
  for (let at = new Date(`${first}T00:00:00Z`); all.length < 400; at = new Date(at.getTime() + 86_400_000)) {
    const day = at.toISOString().slice(0, 10);
    if (day > last) break;
    all.push(found.get(day) ?? { day, calls: 0, talkedS: 0, recordedS: 0, reasons: {}, faulty: 0 });
  }
  return all;
}

/**
 * The same by weeks, each named by its first day (a Monday, or where the time begins).
 * @param {Step[]} days
 * @returns {Step[]}
 */
export function byWeek(days) {
  const weeks = [];
  for (const one of days) {
    const monday = new Date(`${one.day}T00:00:00Z`).getUTCDay() === 1;
    if (weeks.length === 0 || monday) weeks.push({ day: one.day, calls: 0, talkedS: 0, recordedS: 0, reasons: {}, faulty: 0 });
    const week = weeks.at(-1);
    for (const name of ["calls", "talkedS", "recordedS", "faulty"]) week[name] += one[name];
    for (const [reason, seconds] of Object.entries(one.reasons)) week.reasons[reason] = (week.reasons[reason] ?? 0) + seconds;
  }
  return weeks;
}

/** What the parts of a bar are. */
export function legend() {
  return h(
    "ul",
    { class: "legend" },
    GROUPS.map(({ name, word }) => h("li", {}, h("span", { class: `swatch part-${name}`, "aria-hidden": "true" }), word)),
  );
}

/**
 * @param {Step[]} steps
 * @param {boolean} weekly
 * @returns {HTMLElement}
 */
export function bars(steps, weekly) {
  const most = Math.max(1, ...steps.map((one) => one.talkedS));
  const width = steps.length * STEP;
  const svg = element("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    preserveAspectRatio: "none",
    class: "bars",
    role: "img",
    "aria-label": `Talked ${weekly ? "by week" : "by day"}, at most ${longDuration(most)}; the table below says the same`,
  });
  svg.append(hatch());
  steps.forEach((step, at) => svg.append(bar(step, at, most)));
  const every = Math.max(1, Math.ceil(steps.length / (window.innerWidth < 600 ? LABELS_ON_A_PHONE : LABELS)));
  const labels = steps.map((step, at) => h("span", {}, at % every === 0 ? dayLabel.format(new Date(`${step.day}T12:00:00`)) : ""));
  return h(
    "div",
    { class: "chart" },
    h("div", { class: "chart-most minor" }, longDuration(most)),
    svg,
    h("div", { class: "chart-days minor", "aria-hidden": "true" }, labels),
  );
}

function bar(step, at, most) {
  const groups = groupsOf(step);
  const group = element("g", {});
  const words = GROUPS.filter(({ name }) => groups[name] > 0).map(
    ({ name, word }) => `${word}: ${longDuration(groups[name])} (${percent(groups[name], step.talkedS)})`,
  );
  const said = element("title", {});
  said.textContent = [step.day, `Talked: ${longDuration(step.talkedS)}`, ...words].join("\n");
  group.append(said, element("rect", { x: at * STEP, y: 0, width: STEP, height: HEIGHT, class: "bar-place" }));
  const gap = STEP * 0.12;
  let y = HEIGHT;
  for (const { name } of GROUPS) {
    if (groups[name] <= 0) continue;
    // What is missing shows, however little it is.
    const height = Math.max((groups[name] / most) * HEIGHT, name === "missing" ? 3 : 0);
    y = Math.max(0, y - height);
    const place = { x: at * STEP + gap, y, width: STEP - 2 * gap, height };
    group.append(element("rect", { ...place, class: `bar part-${name}` }));
    if (name === "missing") group.append(element("rect", { ...place, fill: "url(#missing)" }));
  }
  return group;
}

/** Stripes over what is missing: a colour alone does not say it to everybody. */
function hatch() {
  const pattern = element("pattern", { id: "missing", width: 3, height: 6, patternUnits: "userSpaceOnUse" });
  pattern.append(element("rect", { width: 3, height: 2, class: "stripe" }));
  const defs = element("defs", {});
  defs.append(pattern);
  return defs;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
