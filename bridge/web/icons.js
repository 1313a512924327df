/**
 * Icons, drawn into the page: 16 by 16, in the colour of the text around them. They are never all that is said: a word,
 * a title or an aria-label stands with each.
 * @module
 */

const SVG = "http://www.w3.org/2000/svg";

/** Each icon is a list of [element, attributes]; `fill: "none"` ones are drawn as lines. */
const LINE = { fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round" };
/** @satisfies {Record<string, Array<[string, Record<string, any>]>>} */
const ICONS = {
  record: [["circle", { cx: 8, cy: 8, r: 5 }]],
  stop: [["rect", { x: 3.5, y: 3.5, width: 9, height: 9, rx: 1.5 }]],
  pause: [["rect", { x: 3.5, y: 3, width: 3.2, height: 10, rx: 1 }], ["rect", { x: 9.3, y: 3, width: 3.2, height: 10, rx: 1 }]],
  play: [["path", { d: "M4.5 2.8v10.4a.6.6 0 0 0 .9.5l8.3-5.2a.6.6 0 0 0 0-1L5.4 2.3a.6.6 0 0 0-.9.5z" }]],
  search: [["circle", { cx: 7, cy: 7, r: 4.5, ...LINE }], ["path", { d: "M10.5 10.5 14 14", ...LINE }]],
  download: [["path", { d: "M8 2v8m0 0L4.8 6.8M8 10l3.2-3.2M2.5 13.5h11", ...LINE }]],
  close: [["path", { d: "m3.5 3.5 9 9m0-9-9 9", ...LINE }]],
  check: [["path", { d: "m3 8.5 3.2 3.2L13 4.8", ...LINE }]],
  warning: [["path", { d: "M8 2 14.5 13.5h-13zM8 6.5v3M8 11.5v.1", ...LINE }]],
  info: [["circle", { cx: 8, cy: 8, r: 6, ...LINE }], ["path", { d: "M8 7.5v3.5M8 5v.1", ...LINE }]],
  right: [["path", { d: "m6 3.5 4.5 4.5L6 12.5", ...LINE }]],
  left: [["path", { d: "M10 3.5 5.5 8l4.5 4.5", ...LINE }]],
  down: [["path", { d: "M3.5 6 8 10.5 12.5 6", ...LINE }]],
  up: [["path", { d: "M3.5 10 8 5.5l4.5 4.5", ...LINE }]],
  back: [["path", { d: "M8 3a5 5 0 1 1-4.6 3M3 2.5V6h3.5", ...LINE }]],
  forward: [["path", { d: "M8 3a5 5 0 1 0 4.6 3M13 2.5V6H9.5", ...LINE }]],
  inbound: [["path", { d: "M13 3 4 12m0-6.5V12h6.5", ...LINE }]],
  outbound: [["path", { d: "m3 13 9-9m0 6.5V4H5.5", ...LINE }]],
  internal: [["path", { d: "M2.5 5.5h10m0 0L10 3m2.5 2.5L10 8M13.5 11h-10m0 0L6 8.5M3.5 11 6 13.5", ...LINE }]],
  tag: [["path", { d: "M2.5 2.5h5l6 6-5 5-6-6zM5.3 5.3v.1", ...LINE }]],
  note: [["path", { d: "M3.5 2.5h9v8l-3 3h-6zM6 6h4M6 8.5h4", ...LINE }]],
  lock: [["rect", { x: 3.5, y: 7, width: 9, height: 6.5, rx: 1, ...LINE }], ["path", { d: "M5.5 7V5a2.5 2.5 0 0 1 5 0v2", ...LINE }]],
  link: [["path", { d: "M6.5 9.5 9.5 6.5M7 4.5l1.6-1.6a3 3 0 0 1 4.3 4.3L11.3 8.8M9 11.5l-1.6 1.6a3 3 0 0 1-4.3-4.3L4.7 7.2", ...LINE }]],
  mute: [["path", { d: "M2.5 6v4H5l3.5 3V3L5 6zM11 6.2l3 3.6m0-3.6-3 3.6", ...LINE }]],
  sound: [["path", { d: "M2.5 6v4H5l3.5 3V3L5 6zM11 5.8a3 3 0 0 1 0 4.4M12.8 4a5.6 5.6 0 0 1 0 8", ...LINE }]],
  plus: [["path", { d: "M8 3v10M3 8h10", ...LINE }]],
  trash: [["path", { d: "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9", ...LINE }]],
  user: [["circle", { cx: 8, cy: 5.2, r: 2.7, ...LINE }], ["path", { d: "M2.8 13.8a5.2 5.2 0 0 1 10.4 0", ...LINE }]],
  phone: [["path", { d: "M3 2.5h2.6l1.2 3.2-1.6 1.2a8 8 0 0 0 3.9 3.9l1.2-1.6 3.2 1.2V13a1 1 0 0 1-1 1A10.5 10.5 0 0 1 2 3.5a1 1 0 0 1 1-1z", ...LINE }]],
  clock: [["circle", { cx: 8, cy: 8, r: 6, ...LINE }], ["path", { d: "M8 4.5V8l2.5 1.8", ...LINE }]],
  keys: [["rect", { x: 1.5, y: 4, width: 13, height: 8.5, rx: 1.2, ...LINE }], ["path", { d: "M4 7h.1M6.6 7h.1M9.2 7h.1M11.8 7h.1M4.5 10h7", ...LINE }]],
};

/** @typedef {keyof typeof ICONS} IconName */

/**
 * An icon. Hidden from screen readers unless it has a title.
 * @param {IconName} name
 * @param {string} [title] what it says, where no word beside it does
 * @returns {SVGElement}
 */
export function icon(name, title) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("fill", "currentColor");
  svg.setAttribute("focusable", "false");
  if (title) {
    svg.setAttribute("role", "img");
    const said = document.createElementNS(SVG, "title");
    said.textContent = title;
    svg.append(said);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  for (const [tag, attributes] of ICONS[name] ?? []) {
    const part = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, String(value));
    svg.append(part);
  }
  return svg;
}
