/**
 * The wallboard: the calls that go on now, and what is recorded of them.
 * @module
 */
import { ApiError, get, post, serverNow } from "../api.js";
import { empty, errorBox, heading, staleNotice } from "../components.js";
import { h, keyed, replace, setText } from "../dom.js";
import { counted, duration } from "../format.js";
import { field, select } from "../forms.js";
import { listen } from "../stream.js";
import { callOf, row, update, VERBS } from "./now/row.js";

export const title = "Now";

const SHORTEST_PAUSE_MS = 350;
const PAUSE_PER_CALL_MS = 4;
const LONGEST_PAUSE_MS = 15_000;
const SAY_EVERY_MS = 15_000;

const SHOWN = [
  ["", "all calls"],
  ["recorded", "recorded"],
  ["not-recorded", "not recorded"],
  ["failed", "failed"],
];

/** @typedef {import("./now/row.js").Call} Call */

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
    const call = callOf(element);
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
      if (signal.aborted || (error instanceof ApiError && error.status === 401)) return LONGEST_PAUSE_MS;
      if (!list.hidden || (error instanceof ApiError && error.status === 0)) setStale(error);
      else {
        nothing.hidden = false;
        replace(nothing, errorBox(error));
      }
    }
    // All calls are read each time: where there are hundreds, a second's delay shows less than it costs.
    return Math.max(SHORTEST_PAUSE_MS, PAUSE_PER_CALL_MS * calls.length);
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
 * Reads anew when something happened, and every 15 s where nothing is heard.
 * @param {() => Promise<number>} read says how many milliseconds the next reading waits at least; where reading takes
 *   long it waits longer
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
    let pause = SHORTEST_PAUSE_MS;
    try {
      if (!document.hidden) pause = await read();
    } finally {
      reading = false;
      const ended = performance.now();
      notBefore = ended + Math.max(pause, 5 * (ended - began));
      at(again ? notBefore : ended + LONGEST_PAUSE_MS);
    }
  };
  return { now, soon: () => (reading ? (again = true) : at(Math.max(performance.now(), notBefore))), end: () => clearTimeout(timer) };
}
