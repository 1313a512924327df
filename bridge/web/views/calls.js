/**
 * Calls: finished ones, searched, narrowed down and gone through. The address is what is asked for: it can be shared.
 * @module
 */
import { aborted, get, newest, url } from "../api.js";
import { badge, button, empty, errorBox, heading, linkButton, loading } from "../components.js";
import { h, replace, setText } from "../dom.js";
import { counted, DIRECTIONS, duration, LOCALE, longDuration, number, person, shortMoment, stateOf } from "../format.js";
import { field, select } from "../forms.js";
import { icon } from "../icons.js";
import { table } from "../table.js";
import { calendar } from "./calls/calendar.js";
import { facets } from "./calls/facets.js";
import { FILTERS, filtersOf, isNarrowed, periodOf, PERIODS, queryOf, timesOf } from "./calls/query.js";
import { savedSearches } from "./calls/saved.js";

/** @typedef {import("../app.js").Context} Context */

export const title = "Calls";
export const KEYS = [
  ["j", "next call"],
  ["k", "call before"],
  ["Enter", "open it"],
];

const WAIT_MS = 300;
const LEAST = 3;
const MORE = [
  ["number", "Number", "text", "the whole number; +49* begins with it"],
  ["name", "Name", "text", ""],
  ["user", "User", "text", ""],
  ["queue", "Queue", "text", ""],
  ["tag", "Tags", "text", "all of them, with commas between"],
  ["minS", "Talked at least (s)", "number", ""],
  ["maxS", "Talked at most (s)", "number", ""],
];
const ORDERS = [
  ["-start", "newest first"],
  ["start", "oldest first"],
  ["-talked", "longest first"],
  ["talked", "shortest first"],
  ["-end", "ended last first"],
];

/**
 * @param {HTMLElement} place
 * @param {Context} context
 */
export async function show(place, context) {
  const { params, session, signal } = context;
  const inputs = new Map();
  const list = h("div", { class: "list", "aria-busy": "true" }, loading());
  const count = h("p", { class: "count", role: "status" });
  const actions = h("div", { class: "actions" });
  const chips = h("div", { class: "chips" });
  let timer = 0;
  const turn = newest(signal);
  let besides = "";

  const change = (changes, options) => {
    context.setParams({ cursor: null, ...changes }, options);
    refresh();
  };
  const days = calendar(context, (from, until) => change({ from, until, period: null }));
  const kinds = facets(context, change);

  // Typing narrows the list after a moment, and is one step back in the browser's history.
  const typed = (name, input) => {
    inputs.set(name, input);
    let step = false;
    const take = () => {
      clearTimeout(timer);
      const value = input.value.trim();
      if (!input.checkValidity() || value === (params.get(name) ?? "")) return;
      change({ [name]: value }, { replace: step });
      step = true;
    };
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(take, WAIT_MS);
    });
    input.addEventListener("change", take);
    input.addEventListener("blur", () => (step = false));
    return input;
  };

  const search = typed("search", h("input", {
    type: "search", name: "search", value: params.get("search") ?? "", placeholder: "Name, number or recording",
    "aria-label": "Search", minlength: LEAST, autocomplete: "off", spellcheck: "false",
  }));
  const period = select([...PERIODS, ["", "other days"]], periodOf(params), {
    name: "period",
    onchange: () => period.value && change({ period: period.value === PERIODS[0][0] ? null : period.value, from: null, until: null }),
  });
  const order = select(ORDERS, params.get("order") ?? ORDERS[0][0], {
    name: "order",
    onchange: () => change({ order: order.value === ORDERS[0][0] ? null : order.value }),
  });
  const more = h(
    "details",
    { class: "more", open: MORE.some(([name]) => params.has(name)) },
    h("summary", {}, "More filters"),
    h("div", { class: "fields" }, MORE.map(([name, label, type, hint]) => {
      const least = name === "name" ? LEAST : null;
      const input = h("input", { type, name, value: params.get(name) ?? "", min: type === "number" ? "0" : null, step: type === "number" ? "any" : null, minlength: least, autocomplete: "off" });
      return field(label, typed(name, input), { hint });
    })),
  );
  const form = h(
    "form",
    { class: "search-form", role: "search", onsubmit: (event) => { event.preventDefault(); search.dispatchEvent(new Event("change")); } },
    h("div", { class: "search-line" }, h("span", { class: "search-field" }, icon("search"), search), field("Time", period), field("Sort", order)),
    more,
    savedSearches(context),
  );
  const side = h("details", { class: "side", open: window.matchMedia("(min-width: 761px)").matches }, h("summary", {}, "Days and kinds"), days.element, kinds.element);
  replace(place, heading(title, actions), form, h("div", { class: "calls-parts" }, side, h("div", { class: "calls-found" }, h("div", { class: "count-line" }, count, chips), list)));

  function drawHead() {
    const query = queryOf(params);
    const csv = url("/api/v1/cdrs", { ...query, order: params.get("order"), format: "csv" });
    const zip = url("/exports?new=", query).replace("?new=?", "?new=&");
    const may = session.scopes.includes("export");
    replace(actions, may && linkButton("Export", zip, { icon: "download" }), may && linkButton("CSV", csv, { icon: "download", download: "calls.csv" }));
    period.value = periodOf(params);
    order.value = params.get("order") ?? ORDERS[0][0];
    for (const [name, input] of inputs) if (input !== document.activeElement) input.value = params.get(name) ?? "";
    const { from, until } = timesOf(params);
    const shown = FILTERS.filter((name) => params.get(name)).map((name) => chip(wordsOf(name, params.get(name)), { [name]: null }));
    if (periodOf(params) === "") shown.unshift(chip(span(from, until), { from: null, until: null }));
    const clear = { ...Object.fromEntries(FILTERS.map((name) => [name, null])), from: null, until: null, period: null };
    replace(chips, shown, isNarrowed(params) && button("Clear", { kind: "plain", small: true, onclick: () => change(clear) }));
  }

  const chip = (words, changes) =>
    h("button", { type: "button", class: "tag chip", title: `Without ${words}`, onclick: () => change(changes) }, words, icon("close"));

  async function refresh() {
    const mine = turn();
    drawHead();
    list.setAttribute("aria-busy", "true");
    // Another page or order has the same days and kinds.
    const same = JSON.stringify(queryOf(params));
    if (same !== besides) {
      days.refresh();
      kinds.refresh();
    }
    besides = same;
    try {
      const query = { ...queryOf(params), order: params.get("order"), cursor: params.get("cursor") };
      const found = await get("/api/v1/cdrs", query, { signal: mine });
      setText(count, found.atLeast ? `at least ${counted(found.filtered, "call")}` : found.filtered === found.total ? counted(found.total, "call") : `${counted(found.filtered, "call")} of ${number(found.total)}`);
      draw(found);
    } catch (error) {
      if (aborted(error)) return;
      besides = ""; // they may have failed, too
      setText(count, "");
      replace(list, errorBox(error, { again: refresh }));
    }
    if (!mine.aborted) list.removeAttribute("aria-busy");
  }

  function draw(found) {
    const onward = (cursor) => {
      context.setParams({ cursor });
      refresh();
      window.scrollTo({ top: 0 });
    };
    if (found.items.length === 0) {
      const wider = Object.keys(filtersOf(params)).length > 0 ? "No call is like that." : "No call has ended in this time.";
      replace(list, empty(wider, periodOf(params) !== "all" && button("Look through all time", { onclick: () => change({ period: "all", from: null, until: null }) })));
      return;
    }
    const pages = h(
      "nav",
      { class: "pages", "aria-label": "Pages" },
      params.has("cursor") && button("First page", { onclick: () => onward(null) }),
      found.next && button("Next page", { kind: "primary", onclick: () => onward(found.next) }),
    );
    replace(list, rows(found.items), pages);
  }

  list.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-key]");
    if (!row || event.target.closest("a, button") || String(getSelection())) return;
    const path = `/calls/${row.dataset.key}`;
    if (event.ctrlKey || event.metaKey || event.shiftKey) window.open(path, "_blank", "noopener");
    else context.go(path);
  });
  document.addEventListener("keydown", (event) => onKey(event, list), { signal });

  await refresh();
  return () => clearTimeout(timer);
}

const STEPS = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

/** From row to row. The arrows do so only from a row on: elsewhere they scroll. */
function onKey(event, list) {
  const step = STEPS[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input, select, textarea, dialog") || document.querySelector("dialog[open]")) return;
  const links = [...list.querySelectorAll("a.row-link")];
  const at = links.indexOf(document.activeElement);
  if (links.length === 0 || (at < 0 && event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  links[at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)].focus();
}

function rows(items) {
  const columns = [
    { label: "Began", class: "nowrap", cell: (call) => shortMoment(call.startedAt) },
    { label: "From", cell: (call) => person(call.source) },
    { label: "To", cell: (call) => [person(to(call)), call.queue && h("span", { class: "minor small" }, ` queue ${call.queue}`)] },
    { label: "Direction", class: "nowrap", cell: (call) => h("span", { class: "direction" }, icon(call.direction), DIRECTIONS[call.direction] ?? call.direction) },
    { label: "Talked", class: "number nowrap", cell: (call) => (call.talkedS > 0 ? h("span", { title: longDuration(call.talkedS) }, duration(call.talkedS)) : stateOf(call.status).word) },
    { label: "Recording", class: "nowrap", cell: recording },
    { label: "Tags", cell: (call) => (call.tags.length > 0 ? h("span", { class: "tags" }, call.tags.map((tag) => h("span", { class: "tag" }, tag))) : null) },
  ];
  return table(columns, items, { caption: "Finished calls", href: (call) => `/calls/${call.id}`, key: (call) => call.id });
}

/** Where nobody was reached, what was dialled. */
const to = (call) => (call.destination.number || call.destination.name ? call.destination : { number: call.dialed });

function recording(call) {
  if (call.recorded) return badge("recorded", call.recordedS > 0 ? `recorded ${duration(call.recordedS)}` : "recorded");
  return badge("not-recorded", call.talkedS > 0 ? "not recorded" : "nobody talked");
}

const WORDS = { search: "“", number: "number ", name: "name ", user: "user ", queue: "queue ", tag: "tag ", minS: "at least ", maxS: "at most " };

function wordsOf(name, value) {
  if (name === "recorded") return value === "true" ? "recorded" : "not recorded";
  if (name === "direction") return DIRECTIONS[value] ?? value;
  if (name === "status") return stateOf(value).word;
  if (name === "search") return `“${value}”`;
  return `${WORDS[name]}${value}${name.endsWith("S") ? " s" : ""}`;
}

const dayOnly = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric" });

function span(from, until) {
  if (from !== null && until !== null) return dayOnly.formatRange(from, until - 1);
  if (from !== null) return `since ${dayOnly.format(from)}`;
  return until !== null ? `before ${dayOnly.format(until)}` : "all time";
}
