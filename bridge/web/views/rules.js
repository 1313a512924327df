/**
 * Rules: what is in force, from which file and line, how often each matched this week; and why a call was recorded or
 * not. `?call=` asks about a call (its number, call id or recordId, or a channel of one that runs), `?from=&to=&…` about
 * an imagined one.
 * @module
 */
import { aborted, get } from "../api.js";
import { empty, errorBox, heading, loading } from "../components.js";
import { h, replace } from "../dom.js";
import { counted, longDuration, moment } from "../format.js";
import { icon } from "../icons.js";
import { why } from "./rules/why.js";

export const title = "Rules";

/** What a record mode is called, and its colour. @type {Object<string, [string, string]>} */
const MODES = { always: ["always", "good"], "on-demand": ["on demand", "pending"], never: ["never", "paused"] };

/**
 * @param {HTMLElement} place
 * @param {import("../app.js").Context} context
 */
export async function show(place, context) {
  const admin = context.session.role === "admin";
  const list = h("div", { class: "stack" });
  const head = h("div", { class: "stack" });
  replace(place, heading(title), h("div", { class: "stack" }, head, admin && why(context), list));
  await read();

  async function read() {
    replace(list, loading());
    try {
      draw(await get("/api/v1/rules", {}, { signal: context.signal }));
    } catch (error) {
      if (!aborted(error)) replace(list, errorBox(error, { again: read }));
    }
  }

  function draw(answer) {
    replace(head, admin ? inForce(answer) : h("p", { class: "minor" }, "The rules that name you. Admins see all of them."));
    const items = answer.items;
    if (items.length === 0) {
      replace(list, empty(admin ? "There is no rule: nothing is recorded by itself." : "No rule names you."));
      return;
    }
    replace(
      list,
      h("h2", { class: "unseen" }, "The rules"),
      h("ol", { class: "rules" }, items.map((rule) => h("li", { class: "card rule", id: `rule-${rule.ruleId}` }, oneRule(rule)))),
    );
  }
}

function inForce(answer) {
  const since = answer.since === null ? null : h("p", { class: "minor" }, `In force since ${moment(answer.since)}. All rules are asked at the beginning of each talk.`);
  return [since, answer.refused && refused(answer.refused)];
}

function refused({ at, problems }) {
  return h(
    "div",
    { class: "error-box", role: "alert" },
    h("p", {}, icon("warning"), ` The files as they are now were refused${at === null ? "" : ` (${moment(at)})`}: the rules below stay in force.`),
    h(
      "ul",
      {},
      problems.map((one) =>
        h("li", {}, h("span", { class: "mono" }, `${one.file}:${one.line}:${one.column}`), ` ${one.message}`,
          one.suggestion && ` (did you mean ${one.suggestion}?)`),
      ),
    ),
  );
}

function oneRule(rule) {
  const [word, tone] = MODES[rule.record] ?? [rule.record, "quiet"];
  const head = h(
    "div",
    { class: "rule-head" },
    h("h3", {}, h("span", { class: "minor" }, `${rule.ruleId} `), rule.name),
    h("span", { class: ["badge", `tone-${tone}`] }, word),
    rule.matches && h("span", { class: "rule-matches minor tabular" }, matched(rule.matches)),
  );
  if (rule.file === null) return head;
  const options = Object.entries(rule.options).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
  return [
    head,
    rule.conditions.length > 0
      ? h("ul", { class: "rule-conditions" }, rule.conditions.map((one) => h("li", {}, one)))
      : h("p", { class: "rule-conditions minor" }, "every talk"),
    options.length > 0 && h("p", { class: "minor small" }, options.join(" · ")),
    h(
      "details",
      { class: "rule-text" },
      h("summary", {}, h("span", { class: "mono" }, `${rule.file}:${rule.line}`)),
      // Long lines scroll inside; with the keyboard too.
      h("pre", { tabindex: "0", "aria-label": `Rule ${rule.ruleId} as it stands in its file` }, rule.text),
    ),
  ];
}

function matched({ calls, recordedS }) {
  if (calls === 0) return "matched no call this week";
  const words = `${counted(calls, "call")} this week`;
  return recordedS > 0 ? `${words}, ${longDuration(recordedS)} to record` : words;
}
