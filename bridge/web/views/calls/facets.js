/**
 * How many of the calls that are found have which value; a click narrows the list to it, another one takes it away.
 * @module
 */
import { aborted, get, newest } from "../../api.js";
import { errorText } from "../../components.js";
import { h, replace } from "../../dom.js";
import { DIRECTIONS, number, stateOf } from "../../format.js";
import { queryOf } from "./query.js";

const SHOWN = 8;

/** @type {Array<[string, string, (value: string) => string]>} */
const GROUPS = [
  ["recorded", "Recording", (value) => (value === "true" ? "recorded" : "not recorded")],
  ["direction", "Direction", (value) => DIRECTIONS[value] ?? value],
  ["status", "Became of it", (value) => stateOf(value).word],
  ["queue", "Queue", String],
  ["user", "User", String],
  ["tag", "Tag", String],
];

/**
 * @param {import("../../app.js").Context} context
 * @param {(changes: Object<string, any>) => void} onChange parameters to set
 * @returns {{element: HTMLElement, refresh: () => Promise<void>}}
 */
export function facets({ params, signal }, onChange) {
  const element = h("section", { class: "card facets", "aria-label": "Narrow down" });
  const open = new Set();
  const turn = newest(signal);
  let found = null;

  const chosen = (name) => {
    const text = params.get(name);
    if (!text) return [];
    return name === "tag" ? text.split(",") : [text];
  };

  function toggle(name, value) {
    const now = chosen(name);
    if (name !== "tag") return onChange({ [name]: now.includes(value) ? null : value });
    return onChange({ tag: now.includes(value) ? now.filter((one) => one !== value) : [...now, value] });
  }

  function group([name, label, words]) {
    const now = chosen(name);
    const more = found.atLeast.includes(name) ? "≥ " : "";
    const counts = new Map(found[name].map((one) => [String(one.value), one.count]));
    for (const value of now) if (!counts.has(value)) counts.set(value, null);
    // A comma stands between tags in an address: one that has a comma cannot be asked for.
    const values = [...counts].filter(([value]) => value && !(name === "tag" && value.includes(",")));
    if (values.length === 0) return null;
    const shown = open.has(name) ? values : values.filter(([value], at) => at < SHOWN || now.includes(value));
    const left = values.length - shown.length;
    return h(
      "div",
      { class: "facet", role: "group", "aria-label": label },
      h("h3", {}, label),
      shown.map(([value, count]) =>
        h(
          "button",
          {
            type: "button",
            class: "facet-value",
            dataset: { name, value },
            "aria-pressed": String(now.includes(value)),
            onclick: () => toggle(name, value),
          },
          h("span", { class: "facet-word" }, words(value)),
          h("span", { class: "tabular minor" }, count === null ? "" : more + number(count)),
        ),
      ),
      left > 0 &&
        h("button", { type: "button", class: "facet-value facet-more", onclick: () => { open.add(name); draw(); } }, `${number(left)} more`),
    );
  }

  function draw() {
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset : null;
    const more = found.atLeast.length > 0 && h("p", { class: "hint" }, "≥: there are more calls than are counted one by one.");
    replace(element, GROUPS.map(group), more);
    if (!focused?.name) return;
    for (const one of element.querySelectorAll("button")) {
      if (one.dataset.name === focused.name && one.dataset.value === focused.value) one.focus();
    }
  }

  async function refresh() {
    try {
      const answer = await get("/api/v1/cdrs/facets", queryOf(params), { signal: turn() });
      found = answer;
      draw();
    } catch (error) {
      if (!aborted(error)) replace(element, h("p", { class: "hint" }, errorText(error)));
    }
  }

  return { element, refresh };
}
