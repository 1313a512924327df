/**
 * Coverage: how much of the calls was recorded, by day and by rule, why not the rest, and the calls to look at.
 * @module
 */
import { aborted, get, newest, serverNow } from "../api.js";
import { button, card, empty, errorBox, heading, loading } from "../components.js";
import { h, replace } from "../dom.js";
import { counted, duration, longDuration, number, percent, person, shortMoment, ZONE } from "../format.js";
import { field, select } from "../forms.js";
import { icon } from "../icons.js";
import { table } from "../table.js";
import { bars, byWeek, filled, legend } from "./coverage/bars.js";
import { FAULTS, GROUPS, groupsOf, reasonWord } from "./coverage/reasons.js";

export const title = "Coverage";

const PERIODS = [["1", "today"], ["7", "last 7 days"], ["30", "last 30 days"], ["90", "last 90 days"], ["365", "last 365 days"], ["own", "other days"]];
const BARS_AT_MOST = 100;
const PAGE = 25;

/**
 * @param {HTMLElement} place
 * @param {import("../app.js").Context} context
 */
export async function show(place, context) {
  const { params, setParams, signal } = context;
  const content = h("div", { class: "stack" });
  const names = new Map();
  const days = h("div", { class: "fields" });
  const period = select(PERIODS, periodOf(params), { onchange: () => choose(period.value) });
  const [from, until] = ["from", "until"].map((name) => h("input", { type: "date", name, required: true, onchange: own }));
  replace(days, field("Time", period), field("First day", from), field("Last day", until));
  replace(place, heading(title), h("div", { class: "coverage-period" }, days), content);

  function choose(chosen) {
    if (chosen === "own") {
      setParams({ days: null, from: from.value, until: until.value });
    } else {
      setParams({ days: chosen === "7" ? null : chosen, from: null, until: null });
    }
    read();
  }

  function own() {
    if (!from.value || !until.value || from.value > until.value) return;
    period.value = "own";
    choose("own");
  }

  const rules = get("/api/v1/rules", null, { signal, signIn: false }).then(
    (answer) => {
      for (const rule of answer.items) names.set(rule.ruleId, rule.name);
    },
    () => {}, // not for this reader: the numbers alone do
  );

  const turn = newest(signal);
  async function read() {
    const mine = turn();
    const [since, end, first, last] = bounds(params);
    from.value = first;
    until.value = last;
    const waiting = setTimeout(() => mine.aborted || replace(content, loading("Adding up …")), 400);
    try {
      const query = { from: since, until: end, zone: ZONE, faulty: true, limit: PAGE };
      const [answer] = await Promise.all([get("/api/v1/coverage", query, { signal: mine }), rules]);
      draw(answer, first, last, query);
    } catch (error) {
      if (!aborted(error)) replace(content, errorBox(error, { again: read }));
    } finally {
      clearTimeout(waiting);
    }
  }

  function draw(answer, first, last, query) {
    if (answer.totals.calls === 0) {
      replace(content, empty("No calls ended in that time."));
      return;
    }
    replace(
      content,
      tiles(answer.totals),
      byDay(filled(answer.days, first, last)),
      h("div", { class: "coverage-two" }, byRule(answer.totals, names), reasons(answer.totals)),
      toLookAt(answer, query, names, signal),
    );
  }

  await read();
}

function periodOf(params) {
  if (params.get("from") || params.get("until")) return "own";
  const days = params.get("days") ?? "7";
  return PERIODS.some(([value]) => value === days) ? days : "7";
}

/** From when to when (epoch ms), and the first and the last day (`2026-03-02`), all in the viewer's zone. */
function bounds(params) {
  const own = periodOf(params) === "own";
  const today = midnight(new Date(serverNow()));
  const end = own ? dayOf(params.get("until")) ?? today : today;
  let begin = own ? dayOf(params.get("from")) ?? end : moved(end, 1 - Number(periodOf(params)));
  if (begin > end) begin = end;
  if (moved(begin, 365) < end) begin = moved(end, -365);
  const after = Math.min(moved(end, 1).getTime(), Math.max(serverNow(), begin.getTime()));
  return [begin.getTime(), after, dayText(begin), dayText(end)];
}

const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());
const moved = (at, days) => new Date(at.getFullYear(), at.getMonth(), at.getDate() + days);
const two = (n) => String(n).padStart(2, "0");
const dayText = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;

function dayOf(text) {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text ?? "");
  return found ? new Date(Number(found[1]), Number(found[2]) - 1, Number(found[3])) : null;
}

function tiles(totals) {
  const groups = groupsOf(totals);
  const tile = (name, value, more, tone) =>
    h("div", { class: ["card tile", tone && `tile-${tone}`] }, h("div", { class: "minor" }, name), h("div", { class: "tile-value" }, value), h("div", { class: "minor small" }, more));
  return h(
    "div",
    { class: "tiles" },
    tile("Calls", number(totals.calls), `${longDuration(totals.talkedS)} talked`),
    tile("Recorded", percent(totals.recordedS, totals.talkedS), longDuration(totals.recordedS)),
    tile("Not to be recorded", percent(groups.left, totals.talkedS), longDuration(groups.left)),
    tile("Missing", percent(groups.missing, totals.talkedS), longDuration(groups.missing), groups.missing > 1 && "bad"),
    tile("To look at", number(totals.faulty), totals.faulty === 1 ? "call" : "calls", totals.faulty > 0 && "bad"),
  );
}

function byDay(days) {
  const weekly = days.length > BARS_AT_MOST;
  const steps = weekly ? byWeek(days) : days;
  const what = weekly ? "Week of" : "Day";
  const seconds = (step, group) => groupsOf(step)[group];
  const columns = [
    { label: what, cell: (step) => step.day, class: "nowrap" },
    { label: "Calls", cell: (step) => number(step.calls), class: "number" },
    { label: "Talked", cell: (step) => longDuration(step.talkedS), class: "number" },
    ...GROUPS.map(({ name, word }) => ({ label: word, cell: (step) => longDuration(seconds(step, name)), class: "number" })),
    { label: "To look at", cell: (step) => number(step.faulty), class: "number" },
  ];
  return card(
    weekly ? "By week" : "By day",
    legend(),
    bars(steps, weekly),
    h("details", { class: "as-table" }, h("summary", {}, "As a table"), table(columns, steps, { caption: "Talked, recorded and missing" })),
  );
}

const ruleName = (ruleId, names) => {
  if (ruleId === null) return "no rule";
  return names.has(ruleId) ? `${ruleId} ${names.get(ruleId)}` : `rule ${ruleId}`;
};

function byRule(totals, names) {
  const share = (rule) => {
    const parts = groupsOf(rule);
    const whole = rule.talkedS || 1;
    return h(
      "div",
      { class: "share", "aria-hidden": "true" },
      GROUPS.map(({ name }) => h("span", { class: `part-${name}`, style: { width: `${(100 * parts[name]) / whole}%` } })),
    );
  };
  const columns = [
    { label: "Rule", cell: (rule) => h("div", { class: "rule-share" }, ruleName(rule.ruleId, names), share(rule)), class: "wide" },
    { label: "Calls", cell: (rule) => number(rule.calls), class: "number" },
    { label: "Talked", cell: (rule) => longDuration(rule.talkedS), class: "number nowrap" },
    { label: "Recorded", cell: (rule) => percent(rule.recordedS, rule.talkedS), class: "number nowrap" },
    { label: "Missing", cell: (rule) => longDuration(groupsOf(rule).missing), class: "number nowrap" },
  ];
  return card("By rule", table(columns, totals.rules, { caption: "Coverage by rule" }));
}

function reasons(totals) {
  const rows = Object.entries(totals.reasons).sort(([, a], [, b]) => b - a);
  if (rows.length === 0) return card("Why not the rest", h("p", { class: "minor" }, "Everything was recorded."));
  const word = (reason) => [FAULTS.has(reason) && [icon("warning"), " "], reasonWord(reason)];
  const columns = [
    { label: "Reason", cell: ([reason]) => word(reason), class: "wide" },
    { label: "Time", cell: ([, seconds]) => longDuration(seconds), class: "number nowrap" },
    { label: "Of all talk", cell: ([, seconds]) => percent(seconds, totals.talkedS), class: "number nowrap" },
  ];
  return card("Why not the rest", table(columns, rows, { caption: "Reasons" }));
}

function toLookAt(answer, query, names, signal) {
  const rows = h("div", {});
  const items = [...answer.items];
  const columns = [
    { label: "Ended", cell: (call) => shortMoment(call.endedAt), class: "nowrap" },
    { label: "Call", cell: (call) => `${person({ number: call.source })} → ${person({ number: call.destination })}`, class: "nowrap" },
    { label: "Talked", cell: (call) => duration(call.talkedS), class: "number" },
    { label: "Missing", cell: (call) => missing(call, names), class: "wide" },
  ];
  const draw = () => {
    const more = button(`Show more of ${number(answer.total)}`, {
      onclick: async () => {
        const next = await get("/api/v1/coverage", { ...query, offset: items.length }, { signal });
        if (next.items.length === 0) answer.total = items.length;
        items.push(...next.items);
        draw();
      },
    });
    replace(
      rows,
      table(columns, items, { caption: "Calls to look at", href: (call) => `/calls/${call.cdr}`, key: (call) => call.cdr }),
      items.length < answer.total && h("p", { class: "more" }, more),
    );
  };
  if (items.length === 0) {
    return card("To look at", h("p", { class: "all-well" }, icon("check"), " Nothing is missing that should not be."));
  }
  draw();
  return card(
    `To look at: ${counted(answer.total, "call")}`,
    h("p", { class: "minor" }, "Of these something is missing that a rule was to record. The log says what happened then."),
    rows,
  );
}

function missing(call, names) {
  const parts = [];
  for (const rule of call.rules) {
    const faults = Object.entries(rule.reasons).filter(([reason]) => FAULTS.has(reason));
    const words = faults.map(([reason, seconds]) => `${duration(seconds)} ${reasonWord(reason)}`).join(", ");
    if (words) parts.push(h("div", {}, `${ruleName(rule.ruleId, names)}: ${words}`));
  }
  return parts;
}
