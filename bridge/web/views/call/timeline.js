/**
 * The call as a picture: a lane for each party and for each rule, all on one scale of time.
 * @module
 */
import { h, replace, setText, uniqueId } from "../../dom.js";
import { duration } from "../../format.js";
import { eventWords, gapWords, LANE_STATES, sectionWords, span } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const AXIS = 20;
const LABEL = 26;
const BAR = 16;
const LANE = LABEL + BAR + 7;
const TICK_PX = 70;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Draw a call's timeline, and anew when the room for it changes.
 * @param {HTMLElement} place
 * @param {import("./model.js").Model} model
 * @param {Object} options
 * @param {(atS: number, lane: import("./model.js").Lane|null) => void} options.onPick a place was chosen, in a rule's
 *   lane or elsewhere; not called where nothing can be played
 * @param {boolean} options.playable
 * @param {AbortSignal} options.signal
 * @returns {{moveTo: (atS: number) => void, choose: (lane: import("./model.js").Lane) => void}} shows where is played, and
 *   in which lane
 */
export function timeline(place, model, { onPick, playable, signal }) {
  const readout = h("p", { class: "readout minor" });
  const picture = h("div", { class: "picture" });
  const hint = playable ? "Point at anything to read what it is, click to play from there." : "Point at anything to read what it is.";
  setText(readout, hint);
  replace(place, picture, legend(model), readout);
  let head = null;
  let headAt = 0;
  let chosen = null;
  let width = 0;

  const x = (atS) => (Math.min(Math.max(atS, 0), model.lengthS) / model.lengthS) * width;

  const draw = () => {
    width = Math.floor(picture.clientWidth);
    if (!width) return;
    const hatch = uniqueId("hatch");
    const fault = uniqueId("hatch");
    const parts = [s("defs", {}, hatching(hatch, "hatch"), hatching(fault, "hatch fault"))];
    const rows = [...model.parties, ...model.lanes];
    const height = AXIS + rows.length * LANE;
    parts.push(axis(model, x, height));
    rows.forEach((row, n) => {
      const y = AXIS + n * LANE;
      const isRule = "tracks" in row;
      const group = s("g", { class: isRule ? "lane rule" : "lane party" });
      if (isRule && row.key === chosen?.key && model.lanes.length > 1) group.classList.add("chosen");
      group.append(s("rect", { class: "ground", x: 0, y: y + LABEL, width, height: BAR }));
      group.append(label(isRule ? row.name : row.label, isRule ? "rule" : "party", y + LABEL - 11, width));
      if (isRule) drawRule(group, row, y + LABEL, { hatch, fault });
      else drawParty(group, row, y + LABEL);
      parts.push(group);
    });
    parts.push(events(rows));
    // Over the picture, and no part of it: where it moves, thousands of stretches are not painted anew.
    head = h("div", { class: "head", "aria-hidden": "true" });
    const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Timeline of the call" }, ...parts);
    svg.addEventListener("click", (event) => picked(event, rows));
    svg.addEventListener("keydown", (event) => {
      const at = event.target.closest("[data-at]");
      if (event.key !== "Enter" || !at) return;
      event.preventDefault();
      onPick(Number(at.dataset.at), laneOf(at));
    });
    // What is pointed at, else what has the focus.
    const named = (element) => element?.closest(".timeline [aria-label]:not(svg)")?.getAttribute("aria-label");
    const tell = (element) => setText(readout, named(element) ?? named(document.activeElement) ?? hint);
    svg.addEventListener("pointermove", (event) => tell(event.target));
    svg.addEventListener("pointerleave", () => tell(null));
    svg.addEventListener("focusin", (event) => tell(event.target));
    svg.addEventListener("focusout", () => setText(readout, hint));
    replace(picture, svg, head);
    moveTo(headAt);
  };

  const laneOf = (element) => model.lanes.find((lane) => lane.key === element.dataset.lane) ?? null;

  const picked = (event, rows) => {
    if (!playable) return;
    const box = event.currentTarget.getBoundingClientRect();
    const marker = event.target.closest(".event");
    const row = rows[Math.floor((event.clientY - box.top - AXIS) / LANE)];
    const atS = marker ? Number(marker.dataset.at) : ((event.clientX - box.left) / box.width) * model.lengthS;
    onPick(atS, row && "tracks" in row ? row : null);
  };

  /** A stretch that says what it is: to a pointer, in a tooltip, and to a screen reader. */
  const stretch = (kind, startS, endS, y, words, { more = {}, focus = false, inset = 0 } = {}) => {
    const attributes = { class: `stretch ${kind}`, "aria-label": `${words}, ${span(startS, endS)}`, role: "img", ...more };
    if (focus) Object.assign(attributes, { role: playable ? "button" : "img", tabindex: 0, "data-at": startS });
    const wide = Math.max(x(endS) - x(startS), 1.5);
    const rect = s("rect", { x: x(startS), y: y + inset, width: wide, height: BAR - 2 * inset, rx: Math.min(2, wide / 3), ...attributes });
    rect.append(s("title", {}, attributes["aria-label"]));
    return rect;
  };

  const drawParty = (group, party, y) => {
    for (const one of party.lane) {
      const words = `${party.label}: ${LANE_STATES[one.state] ?? one.state}`;
      const inset = one.state === "talking" ? 0 : one.state === "waiting" ? 6 : 3;
      group.append(stretch(`is-${one.state}`, model.at(one.startedAt), model.at(one.endedAt), y, words, { inset }));
    }
  };

  const drawRule = (group, lane, y, patterns) => {
    for (const gap of lane.gaps) {
      const fill = { fill: `url(#${gap.fault ? patterns.fault : patterns.hatch})` };
      const words = `${lane.name}: ${gapWords(gap)}`;
      group.append(stretch(gap.fault ? "gap fault" : "gap", gap.startS, gap.endS, y, words, { more: fill, inset: 1 }));
    }
    for (const track of lane.tracks) {
      const { section } = track;
      const kind = section.deleted ? "section deleted" : track.playable ? "section" : "section failed";
      const more = { "data-lane": lane.key };
      group.append(stretch(kind, track.startS, track.endS, y, `${lane.name}: ${sectionWords(section)}`, { more, focus: track.playable }));
    }
    for (const pause of model.call.timeline.pauses) {
      if (pause.ruleId !== lane.ruleId) continue;
      const words = `${lane.name}: paused${pause.identity ? ` by ${pause.identity}` : ""}`;
      group.append(stretch("pause", model.at(pause.startedAt), model.at(pause.endedAt), y, words));
    }
  };

  const events = (rows) => {
    const group = s("g", { class: "events" });
    for (const event of model.call.timeline.events) {
      const atS = model.at(event.at);
      const row = rowOf(event, rows);
      const y = AXIS + Math.max(row, 0) * LANE + LABEL;
      const words = `${duration(atS)}: ${eventWords(event, model)}`;
      const marker = s("g", {
        class: `event ${event.kind}`, transform: `translate(${x(atS)} ${y})`, role: playable ? "button" : "img", tabindex: 0,
        "aria-label": words, "data-at": atS,
      });
      marker.append(s("title", {}, words), s("rect", { class: "touch", x: -8, y: -8, width: 16, height: BAR + 8 }));
      if (event.kind === "transferred") marker.append(s("line", { x1: 0, x2: 0, y1: -3, y2: BAR + 3 }));
      marker.append(s("path", { d: event.kind === "transferred" ? "M0-10 6-4 0 2-6-4z" : "M-4.5-7h9L0 0z" }));
      group.append(marker);
    }
    return group;
  };

  const moveTo = (atS) => {
    headAt = atS;
    if (head) head.style.transform = `translateX(${x(atS).toFixed(1)}px)`;
  };

  const watcher = new ResizeObserver(() => Math.floor(picture.clientWidth) !== width && draw());
  watcher.observe(picture);
  signal.addEventListener("abort", () => watcher.disconnect());
  draw();
  return {
    moveTo,
    choose: (lane) => {
      if (lane === chosen) return;
      chosen = lane;
      draw();
    },
  };
}

/** Of a recording: its rule's lane; what a party did, or a user to no rule's recording: its own. */
function rowOf(event, rows) {
  if (event.ruleIds.length > 0) return rows.findIndex((one) => event.ruleIds.includes(one.ruleId));
  if (event.party !== null) return rows.findIndex((one) => one.uniqueid === event.party);
  return rows.findIndex((one) => event.identity && one.identity === event.identity);
}

function label(text, kind, y, width) {
  const most = Math.max(8, Math.floor((width - 4) / 7.2));
  const shown = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  const element = s("text", { class: `label ${kind}`, x: 0, y }, shown);
  if (shown !== text) element.append(s("title", {}, text));
  return element;
}

function hatching(id, kind) {
  const pattern = s("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)", class: kind });
  pattern.append(s("rect", { class: "ground", width: 6, height: 6 }), s("rect", { class: "line", width: 2.4, height: 6 }));
  return pattern;
}

function axis(model, x, height) {
  const group = s("g", { class: "axis", "aria-hidden": "true" });
  const most = Math.max(2, Math.floor(x(model.lengthS) / TICK_PX));
  const step = STEPS_S.find((one) => model.lengthS / one <= most) ?? Math.ceil(model.lengthS / most / 3600) * 3600;
  for (let atS = 0; atS <= model.lengthS; atS += step) {
    const text = s("text", { x: x(atS) + (atS === 0 ? 0 : 3), y: 12 }, duration(atS));
    if (x(model.lengthS) - x(atS) < 30 && atS > 0) text.setAttribute("class", "last");
    group.append(s("line", { x1: x(atS), x2: x(atS), y1: 0, y2: height }), text);
  }
  return group;
}

/** What the colours and patterns mean: of those alone that are there. */
function legend(model) {
  const states = new Set(model.parties.flatMap((party) => party.lane.map((one) => one.state)));
  const shown = Object.entries(LANE_STATES).filter(([state]) => states.has(state)).map(([state, words]) => [`is-${state}`, words]);
  const tracks = model.lanes.flatMap((lane) => lane.tracks);
  const gaps = model.lanes.flatMap((lane) => lane.gaps);
  if (tracks.some((track) => track.playable)) shown.push(["section", "recorded"]);
  if (tracks.some((track) => track.section.deleted)) shown.push(["section deleted", "deleted"]);
  if (tracks.some((track) => !track.playable && !track.section.deleted)) shown.push(["section failed", "no audio"]);
  if (model.call.timeline.pauses.length > 0) shown.push(["pause", "paused"]);
  if (gaps.some((gap) => !gap.fault)) shown.push(["gap", "not recorded"]);
  if (gaps.some((gap) => gap.fault)) shown.push(["gap fault", "not recorded, but should be"]);
  return h("ul", { class: "legend", "aria-hidden": "true" }, shown.map(([kind, words]) => h("li", {}, h("span", { class: ["swatch", kind] }), words)));
}
