/**
 * The wallboard: the calls that go on now, and what is recorded of them.
 * @module
 */
import { ApiError, get, post, serverNow } from "../api.js";
import { badge, button, empty, errorBox, heading, staleNotice } from "../components.js";
import { h, keyed, replace, setText } from "../dom.js";
import { counted, DIRECTIONS, duration, longDuration, reason } from "../format.js";
import { field, select } from "../forms.js";
import { icon } from "../icons.js";
import { listen } from "../stream.js";

export const title = "Now";

const SHORTEST_PAUSE_MS = 350;
const LONGEST_PAUSE_MS = 15_000;
const SAY_EVERY_MS = 15_000;

const VERBS = {
  start: { label: "Start", icon: "record", done: "Recording has started" },
  stop: { label: "Stop", icon: "stop", done: "Recording has stopped" },
  pause: { label: "Pause", icon: "pause", done: "Recording is paused" },
  resume: { label: "Resume", icon: "play", done: "Recording goes on" },
};

const SHOWN = [
  ["", "all calls"],
  ["recorded", "recorded"],
  ["not-recorded", "not recorded"],
  ["failed", "failed"],
];

/** @typedef {{uniqueid: string, channel: string, identity: string, name: string, number: string, outside: boolean,
 *   talking: boolean, may: string[]}} Party */
/** @typedef {{ruleId: number, name: string, state: string, file: number|null, identity: string, reason: string|null}} Rule */
/** @typedef {{callId: string, recordId: string, direction: string, startedAt: number, talkingSince: number|null,
 *   dialed: string, queue: string, parties: Party[], rules: Rule[], reason: string|null}} Call */

/** Reasons that the states of the call's rules say already. */
const SAID_BY_A_RULE = new Set(["paused", "failed"]);

/** @param {Call} call @returns {boolean} */
const hasFailed = (call) => call.rules.some((rule) => rule.state === "failed");

/** @param {Call} call @returns {boolean} */
const isRecorded = (call) => call.rules.some((rule) => rule.state === "recording");

/**
 * Whether a call is one of those that are looked for.
 * @param {Call} call
 * @param {string} search
 * @param {string} show
 */
function wanted(call, search, show) {
  if (show === "failed" && !hasFailed(call)) return false;
  if (show === "recorded" && !isRecorded(call)) return false;
  if (show === "not-recorded" && isRecorded(call)) return false;
  if (!search) return true;
  const texts = [call.queue, call.dialed, ...call.parties.flatMap((one) => [one.name, one.number, one.identity, one.channel])];
  const words = [...texts, ...call.rules.filter((rule) => rule.state !== "unmatched").map((rule) => rule.name)];
  return words.join("\n").toLowerCase().includes(search.toLowerCase());
}

/**
 * @param {HTMLElement} place
 * @param {import("../app.js").Context} context
 */
export async function show(place, { params, setParams, signal, session }) {
  /** @type {Call[]} */
  let calls = [];
  let saidAt = 0;

  const summary = h("p", { class: "now-summary minor" });
  const said = h("p", { class: "unseen", role: "status" });
  const stale = staleNotice();
  const search = h("input", {
    type: "search",
    value: params.get("search") ?? "",
    placeholder: "name, number, queue, rule",
    oninput: () => filtered({ search: search.value }),
  });
  const shown = select(SHOWN, params.get("show") ?? "", { onchange: () => filtered({ show: shown.value }) });
  const body = h("tbody");
  const list = h(
    "div",
    { class: "table-place", hidden: true },
    h(
      "table",
      { class: "table now" },
      h("caption", { class: "unseen" }, "Calls that go on now"),
      h(
        "thead",
        {},
        h("tr", {}, [
          ["Parties", "Call", "Time", "Recording"].map((label) => h("th", { scope: "col" }, label)),
          h("th", { scope: "col" }, h("span", { class: "unseen" }, "What you may do")),
        ]),
      ),
      body,
    ),
  );
  const nothing = h("div", { hidden: true });

  const filtered = (changes) => {
    setParams(changes, { replace: true });
    draw();
  };

  /** @param {string} words for screen readers, at once */
  const say = (words) => {
    saidAt = Date.now();
    setText(said, words);
  };

  const draw = () => {
    const [text, which] = [search.value.trim(), shown.value];
    const found = calls.filter((call) => wanted(call, text, which));
    keyed(body, found, (call) => call.callId, (call) => row(call, act), update);
    list.hidden = found.length === 0;
    nothing.hidden = found.length > 0;
    if (!nothing.hidden) {
      const words = calls.length > 0 ? "No call that goes on now is one of these." : "Nobody is on a call.";
      if (nothing.textContent !== words) replace(nothing, empty(words));
    }
    const failures = calls.filter(hasFailed).length;
    const counts = [counted(calls.length, "call"), `${calls.filter(isRecorded).length} recorded`];
    if (failures > 0) counts.push(`${failures} with a failed recording`);
    const words = counts.join(", ");
    if (summary.textContent !== words) {
      setText(summary, words);
      if (Date.now() - saidAt > SAY_EVERY_MS) say(words);
    }
    tick();
  };

  const tick = () => {
    const now = serverNow();
    for (const cell of body.querySelectorAll("[data-since]")) {
      setText(cell, duration((now - Number(cell.dataset.since)) / 1000));
    }
  };

  /**
   * @param {HTMLElement} element the call's row
   * @param {keyof typeof VERBS} verb
   */
  const act = async (element, verb) => {
    const { call } = parts.get(element);
    const able = call.parties.filter((party) => party.may.includes(verb));
    const party = able.find((one) => one.identity === session.identity) ?? able[0];
    if (!party) {
      refresh.soon();
      return;
    }
    try {
      await post(`/api/v1/monitor/${verb}`, { channel: party.uniqueid });
      say(VERBS[verb].done);
    } finally {
      refresh.soon();
    }
  };

  let lostStream = false;
  const refresh = refresher(async () => {
    try {
      calls = (await get("/api/v1/calls", null, { signal })).items;
      if (!lostStream) setStale(null);
      draw();
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && error.status === 401)) return;
      if (!list.hidden || (error instanceof ApiError && error.status === 0)) setStale(error);
      else {
        nothing.hidden = false;
        replace(nothing, errorBox(error));
      }
    }
  }, signal);

  const setStale = (error) => {
    stale.show(error);
    list.classList.toggle("now-old", error !== null);
  };

  replace(
    place,
    heading("Now", summary),
    said,
    stale.element,
    h("div", { class: "fields now-fields" }, field("Search", search), field("Show", shown)),
    list,
    nothing,
  );
  await refresh.now();
  if (signal.aborted) return undefined;

  listen(() => refresh.soon(), {
    signal,
    onState: (state) => {
      lostStream = state === "lost";
      if (lostStream) setStale(new ApiError(0, "unreachable", ""));
      refresh.soon();
    },
  });
  document.addEventListener("visibilitychange", () => document.hidden || refresh.soon(), { signal });
  const ticking = setInterval(tick, 1000);
  return () => {
    clearInterval(ticking);
    refresh.end();
  };
}

/**
 * Reads anew when something happened, at most about three times a second and less often where reading takes long; and
 * every 15 s where nothing is heard.
 * @param {() => Promise<void>} read
 * @param {AbortSignal} signal
 */
function refresher(read, signal) {
  let timer = 0;
  let due = Infinity;
  let reading = false;
  let again = false;
  let notBefore = 0;

  const at = (when) => {
    if (when >= due || signal.aborted) return;
    clearTimeout(timer);
    due = when;
    timer = setTimeout(now, Math.max(0, when - performance.now()));
  };
  const now = async () => {
    clearTimeout(timer);
    due = Infinity;
    if (reading) {
      again = true;
      return;
    }
    [reading, again] = [true, false];
    const began = performance.now();
    try {
      if (!document.hidden) await read();
    } finally {
      reading = false;
      const ended = performance.now();
      notBefore = ended + Math.max(SHORTEST_PAUSE_MS, 5 * (ended - began));
      at(again ? notBefore : ended + LONGEST_PAUSE_MS);
    }
  };
  return { now, soon: () => (reading ? (again = true) : at(Math.max(performance.now(), notBefore))), end: () => clearTimeout(timer) };
}

// A call's row. Its parts are kept, and changed in place.

/** @type {WeakMap<Element, Object<string, any>>} */
const parts = new WeakMap();

/**
 * @param {Call} call
 * @param {(row: HTMLElement, verb: string) => Promise<void>} act
 */
function row(call, act) {
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
 * @param {HTMLElement} element
 * @param {Call} call
 */
function update(element, call) {
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
