/**
 * A row of the wallboard: its parts are kept, and changed in place.
 * @module
 */
import { badge, button } from "../../components.js";
import { h, keyed, replace, setText } from "../../dom.js";
import { counted, DIRECTIONS, longDuration, reason } from "../../format.js";
import { icon } from "../../icons.js";

/** @typedef {{uniqueid: string, channel: string, identity: string, name: string, number: string, outside: boolean,
 *   talking: boolean, may: string[]}} Party */
/** @typedef {{ruleId: number, name: string, state: string, file: number|null, identity: string, reason: string|null}} Rule */
/** @typedef {{callId: string, recordId: string, direction: string, startedAt: number, talkingSince: number|null,
 *   dialed: string, queue: string, parties: Party[], rules: Rule[], reason: string|null}} Call */

/** What can be done to a recording: its button, and what is said when it is done. */
export const VERBS = {
  start: { label: "Start", icon: "record", done: "Recording has started" },
  stop: { label: "Stop", icon: "stop", done: "Recording has stopped" },
  pause: { label: "Pause", icon: "pause", done: "Recording is paused" },
  resume: { label: "Resume", icon: "play", done: "Recording goes on" },
};

/** Reasons that the states of the call's rules say already. */
const SAID_BY_A_RULE = new Set(["paused", "failed"]);

/** @type {WeakMap<Element, Object<string, any>>} */
const parts = new WeakMap();

/**
 * The row of a new call; `update` fills it.
 * @param {Call} call
 * @param {(row: HTMLElement, verb: keyof typeof VERBS) => Promise<void>} act does what a button of it says
 * @returns {HTMLElement}
 */
export function row(call, act) {
  const cells = {
    parties: h("ul", { class: "now-parties" }),
    about: h("div", { class: "now-about" }),
    time: h("span", { class: "tabular now-time" }),
    since: h("span", { class: "minor small" }),
    rules: h("ul", { class: "now-rules" }),
    why: h("p", { class: "now-why minor" }),
    more: h("details", { class: "now-more" }, h("summary"), h("ul")),
    actions: h("div", { class: "now-actions" }),
  };
  const element = h(
    "tr",
    { tabindex: "-1", class: "now-call" },
    h("td", { dataset: { label: "Parties" } }, cells.parties),
    h("td", { dataset: { label: "Call" } }, cells.about),
    h("td", { dataset: { label: "Time" } }, h("div", {}, cells.time, " ", cells.since)),
    h("td", { dataset: { label: "Recording" } }, h("div", { class: "now-recording" }, cells.rules, cells.why, cells.more)),
    h("td", {}, cells.actions),
  );
  parts.set(element, { ...cells, act, json: "", call });
  return element;
}

/**
 * The call that a row shows.
 * @param {HTMLElement} element
 * @returns {Call}
 */
export const callOf = (element) => parts.get(element).call;

/**
 * Show a call as it is now.
 * @param {HTMLElement} element its row
 * @param {Call} call
 */
export function update(element, call) {
  const own = parts.get(element);
  const json = JSON.stringify(call);
  if (own.json === json) return;
  own.json = json;
  own.call = call;
  const focused = element.contains(document.activeElement) ? document.activeElement : null;

  keyed(own.parties, call.parties, (party) => party.uniqueid, () => h("li"), updateParty);
  const dialed = call.parties.some((party) => party.number === call.dialed) ? "" : call.dialed;
  replaceChanged(own.about, `${call.direction}|${call.queue}|${dialed}`, () => [
    h("span", { class: "now-direction" }, icon(call.direction), DIRECTIONS[call.direction] ?? call.direction),
    call.queue && h("span", { class: "minor" }, `queue ${call.queue}`),
    dialed && h("span", { class: "minor" }, `dialled ${dialed}`),
  ]);
  own.time.dataset.since = String(call.talkingSince ?? call.startedAt);
  setText(own.since, call.talkingSince === null ? "not talking yet" : waited(call));

  const active = call.rules.filter((rule) => rule.state !== "unmatched");
  keyed(own.rules, active, (rule) => rule.ruleId, () => h("li"), (item, rule) =>
    updateRule(item, rule, rule.reason === call.reason ? null : rule.reason),
  );
  own.why.hidden = !call.reason || SAID_BY_A_RULE.has(call.reason);
  setText(own.why, own.why.hidden ? "" : `not recorded: ${reason(call.reason)}`);

  const others = call.rules.filter((rule) => rule.state === "unmatched");
  own.more.hidden = others.length === 0;
  setText(own.more.firstElementChild, `${counted(others.length, "rule")} ${others.length === 1 ? "does" : "do"} not match`);
  keyed(own.more.lastElementChild, others, (rule) => rule.ruleId, () => h("li"), (item, rule) =>
    setText(item, `${rule.ruleId} ${rule.name}: ${rule.reason ?? ""}`),
  );

  const verbs = Object.keys(VERBS).filter((verb) => call.parties.some((party) => party.may.includes(verb)));
  const make = (verb) => {
    const names = call.parties.map((party) => party.name || party.number).filter(Boolean).join(", ");
    const { label, icon: name } = VERBS[verb];
    const made = button(label, { icon: name, small: true, onclick: () => own.act(element, verb) });
    made.setAttribute("aria-label", names ? `${label}: ${names}` : label);
    return made;
  };
  keyed(own.actions, verbs, (verb) => verb, make);

  if (focused && !element.contains(document.activeElement)) {
    // What had the focus is gone: the next thing to do in the same call has it.
    (own.actions.querySelector("button") ?? element).focus({ preventScroll: true });
  }
}

/** @param {Call} call how long it took until somebody talked */
function waited(call) {
  const s = (call.talkingSince - call.startedAt) / 1000;
  return s >= 10 ? `waited ${longDuration(s)}` : "";
}

function updateParty(item, party) {
  const words = [party.outside && "outside", !party.talking && "not talking"].filter(Boolean).join(", ");
  replaceChanged(item, `${party.name}|${party.number}|${party.identity}|${words}`, () => [
    h("span", { class: "now-name", title: party.channel }, party.name || party.identity || party.number || "unknown number"),
    party.number && party.number !== party.name && (party.name || party.identity) && h("span", { class: "tabular" }, party.number),
    words && h("span", { class: "minor small" }, words),
  ]);
}

function updateRule(item, rule, why) {
  replaceChanged(item, `${rule.state}|${rule.name}|${rule.identity}|${why}`, () => [
    badge(rule.state),
    h("span", {}, rule.name, rule.identity && h("span", { class: "minor" }, ` by ${rule.identity}`)),
    rule.state === "blocked" && why && h("span", { class: "minor small" }, reason(why)),
  ]);
}

/** Build content anew only where what it is made of has changed. */
function replaceChanged(place, key, make) {
  if (place.dataset.made === key) return;
  place.dataset.made = key;
  replace(place, ...make());
}
