/**
 * What the rules said: of each talk what comes of it, then each rule, those first that decided.
 * @module
 */
import { empty, facts, linkButton } from "../../components.js";
import { h } from "../../dom.js";
import { longDuration, moment, NOTHING, reason, time } from "../../format.js";
import { icon } from "../../icons.js";

/**
 * @param {any} answer of `POST /api/v1/rules/explain`
 * @returns {HTMLElement}
 */
export function explanation(answer) {
  const { call, talks, notes } = answer;
  return h(
    "div",
    { class: "stack why-answer" },
    call && callHead(call),
    notes.map((note) => h("p", { class: "notice tone-paused" }, icon("info"), note)),
    talks.length === 0
      ? empty("There was no talk in it, so no rule was asked: rules are asked at the beginning of each talk.")
      : talks.map((talk) => oneTalk(talk, call === null)),
  );
}

function callHead(call) {
  const who = call.source || call.destination ? `${call.source || NOTHING} → ${call.destination || NOTHING}` : call.callId;
  const when = call.startedAt === null ? "goes on now" : `${moment(call.startedAt)} to ${time(call.endedAt)}`;
  return h(
    "div",
    { class: "row why-call" },
    h("h3", {}, who),
    h("span", { class: "minor tabular" }, when),
    call.cdr !== null && linkButton("The call", `/calls/${call.cdr}`, { small: true, icon: "right" }),
  );
}

function oneTalk(talk, imagined) {
  const ended = talk.endedAt === null ? "goes on" : time(talk.endedAt);
  return h(
    "section",
    { class: "why-talk" },
    !imagined && h("h4", {}, `Talk ${time(talk.beganAt)} – ${ended}`),
    talk.unknown && h("p", { class: "notice tone-quiet" }, icon("info"), sentence(talk.unknown)),
    talk.asked.map((told) => oneAsking(told, talk, imagined)),
    talk.happened.length > 0 &&
      h("p", { class: "minor small" }, "What held: ", talk.happened.map(happened).join("; "), "."),
  );
}

function oneAsking(told, talk, imagined) {
  const { answers } = told;
  const again = !imagined && told.askedAt > talk.beganAt + 1000 && talk.asked.length > 1;
  const since = told.rulesSince === null ? "the rules of then" : `the rules in force since ${moment(told.rulesSince)}`;
  return h(
    "div",
    { class: "stack" },
    again && h("p", { class: "minor" }, `Asked again at ${time(told.askedAt)}, after a restart`),
    told.erased && h("p", { class: "notice tone-quiet" }, icon("info"), "A person was erased from this since: what concerns them cannot be told any more."),
    told.unknown && h("p", { class: "notice tone-quiet" }, icon("info"), sentence(told.unknown)),
    answers && h("p", { class: ["notice", "why-outcome", `tone-${toneOf(answers)}`] }, icon(answers.recording.length > 0 ? "record" : "info"), sentence(outcome(answers))),
    h("div", { class: "why-two" }, answers && rules(answers), had(told.talk)),
    !imagined && answers && h("p", { class: "minor small" }, `By ${since}.`),
  );
}

/** What is offered may have been recorded: what held says so. */
function outcome({ recording, offered, variable, outcome: words }) {
  return recording.length === 0 && offered.length > 0 && !variable ? `offered by rule ${offered.join(", ")}: recorded from when somebody starts it` : words;
}

const toneOf = (answers) => (answers.recording.length > 0 ? "good" : answers.offered.length > 0 ? "pending" : "paused");

function rules(answers) {
  const forbids = (one) => one.matched && one.record === "never" && !answers.variable;
  const rank = (one) => {
    if (answers.recording.includes(one.ruleId) || forbids(one)) return 0;
    if (answers.offered.includes(one.ruleId)) return 1;
    if (one.undecided.length > 0) return 3;
    return one.matched ? 2 : 4;
  };
  const sorted = [...answers.rules].sort((one, two) => rank(one) - rank(two));
  // A rule that records for the variable alone stands in no file.
  const byVariable = answers.variable && h("li", { class: "why-rule" }, ruleHead("check", "good", `RECBRIDGE says ${answers.variable}`), h("p", {}, "It stands over the rules."));
  return h("ol", { class: "why-rules" }, byVariable, sorted.map((one) => oneRule(one, rank(one))));
}

function ruleHead(name, tone, ...words) {
  return h("p", { class: "why-rule-head" }, h("span", { class: `why-mark tone-${tone}` }, icon(name)), ...words);
}

function oneRule(rule, rank) {
  const [name, tone, word] =
    rule.undecided.length > 0
      ? ["info", "quiet", "not known"]
      : rule.matched
        ? ["check", rank < 2 && rule.record !== "never" ? "good" : "paused", "matches"]
        : ["close", "quiet", "does not match"];
  return h(
    "li",
    { class: ["why-rule", rank < 2 && "decides"] },
    ruleHead(name, tone, h("strong", {}, `${rule.ruleId} ${rule.name}`), h("span", { class: "minor" }, ` ${rule.record}, ${word}`)),
    rule.undecided.length > 0
      ? h("p", {}, `It wants ${rule.undecided.join(", ")}, which was not kept.`)
      : rule.failed && failed(rule.failed),
    h("p", { class: "mono minor small" }, `${rule.file}:${rule.line}`),
  );
}

/** The condition that failed first, and what the call had. */
function failed(one) {
  if (one.inner.length > 0) return h("div", {}, h("p", {}, "none of these holds:"), h("ul", {}, one.inner.map((inner) => h("li", {}, failed(inner)))));
  if (one.wanted.length === 0) return h("p", {}, `${one.key}: ${one.found.join(" and ")} ${one.found.length === 1 ? "holds" : "hold"}, and must not`);
  return h(
    "p",
    {},
    h("span", { class: "mono" }, one.key),
    " is ",
    h("strong", {}, one.found.join(", ") || "not there"),
    ", not ",
    one.wanted.join(" or "),
  );
}

function had(talk) {
  const list = (some) => some.join(", ");
  const flags = Object.entries(talk.flags).map(([user, on]) => `${user}: ${on.length > 0 ? on.join(", ") : "all off"}`);
  const variables = Object.entries(talk.variables).map(([name, value]) => `${name}=${value}`);
  const pairs = [
    ["direction", talk.direction],
    ["caller", list(talk.callers)],
    ["callee", list(talk.callees)],
    ["number outside", talk.number],
    ["dialed", talk.dialed],
    ["queue", talk.queue],
    ["context", talk.context],
    ["time", moment(talk.at)],
    ["channels", list(talk.channels)],
    ["variables", list(variables)],
    ["flags", list(flags)],
  ];
  return h("div", { class: "why-had" }, h("p", { class: "why-had-title" }, "What the rules were asked"), facts(pairs.filter(([, value]) => value)));
}

function happened({ ruleId, recordedS, reasons }) {
  const what = [recordedS > 0 && `to record for ${longDuration(recordedS)}`, ...reasons.map((one) => reason(one))].filter(Boolean);
  return `${ruleId === null ? "no rule" : `rule ${ruleId}`}${what.length > 0 ? `: ${what.join(", ")}` : ""}`;
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
