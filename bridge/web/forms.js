/**
 * What is typed in and sent. Its looks are in style.css.
 * @module
 */
import { aborted } from "./api.js";
import { button, errorBox } from "./components.js";
import { h, replace, uniqueId } from "./dom.js";

/** @typedef {import("./dom.js").Child} Child */

/**
 * An input with its label.
 * @param {Child} label
 * @param {HTMLElement} input
 * @param {{hint?: Child}} [options]
 * @returns {HTMLElement}
 */
export function field(label, input, { hint } = {}) {
  input.id ||= uniqueId("field");
  const hintId = `${input.id}-hint`;
  if (hint) input.setAttribute("aria-describedby", hintId);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, hint && h("p", { class: "hint", id: hintId }, hint));
}

/**
 * A choice among a few.
 * @param {string[][]} options values and words
 * @param {string} value
 * @param {Object<string, any>} [attributes] `onchange`, `name`, …
 * @returns {HTMLSelectElement}
 */
export function select(options, value, attributes = {}) {
  return h(
    "select",
    attributes,
    options.map(([one, words]) => h("option", { value: one, selected: one === value }, words)),
  );
}

/**
 * A form. While what `onSubmit` returned is not settled it takes no second one; what it throws stands over its buttons.
 * @param {Child[]} children
 * @param {Object} options
 * @param {string} options.submit the word on its button
 * @param {() => any} options.onSubmit
 * @param {() => any} [options.onCancel] gets a button
 * @param {boolean} [options.quiet] it is beside the matter: its button is not the one to press
 * @param {string} [options.class]
 * @returns {HTMLFormElement}
 */
export function form(children, { submit, onSubmit, onCancel, quiet = false, class: looks = "stack" }) {
  const problem = h("div", { class: "form-problem" });
  const send = h("button", { type: "submit", class: ["button", !quiet && "primary"] }, submit);
  const element = h(
    "form",
    { class: looks },
    ...children,
    problem,
    h("div", { class: "form-actions" }, onCancel && button("Cancel", { onclick: () => onCancel() }), send),
  );
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.getAttribute("aria-busy")) return;
    send.setAttribute("aria-busy", "true");
    replace(problem);
    try {
      await onSubmit();
    } catch (error) {
      if (!aborted(error)) replace(problem, errorBox(error));
    } finally {
      send.removeAttribute("aria-busy");
    }
  });
  return element;
}
