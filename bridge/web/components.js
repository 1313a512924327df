/**
 * The parts that views are made of. Their looks are in style.css.
 * @module
 */
import { aborted, ApiError } from "./api.js";
import { h, replace, uniqueId } from "./dom.js";
import { ERRORS, stateOf } from "./format.js";
import { icon } from "./icons.js";

/** @typedef {import("./dom.js").Child} Child */

/**
 * A view's head: its title, and what can be done in it.
 * @param {Child} title
 * @param {...Child} actions buttons and links, at the right
 * @returns {HTMLElement}
 */
export function heading(title, ...actions) {
  return h("div", { class: "heading" }, h("h1", {}, title), h("div", { class: "actions" }, ...actions));
}

/**
 * A state in a word, with its colour and icon.
 * @param {string} state a key of `STATES`
 * @param {Child} [words] in place of the state's own word
 * @returns {HTMLElement}
 */
export function badge(state, words) {
  const { word, tone, icon: name } = stateOf(state);
  return h("span", { class: ["badge", `tone-${tone}`] }, name && icon(name), words ?? word);
}

/**
 * A button. While what `onclick` returned is not settled it is busy, and takes no second click; an error of it is shown
 * as a toast.
 * @param {Child} label
 * @param {Object} options
 * @param {(event: Event) => any} options.onclick
 * @param {import("./icons.js").IconName} [options.icon]
 * @param {"primary"|"danger"|"plain"|""} [options.kind] `plain` is without a frame
 * @param {string} [options.title] said to screen readers in place of the label, and shown when pointed at
 * @param {string} [options.reason] why it cannot be used: it is disabled then, and says so
 * @param {boolean} [options.small]
 * @returns {HTMLButtonElement}
 */
export function button(label, { onclick, icon: name, kind = "", title, reason, small = false }) {
  const element = h(
    "button",
    {
      type: "button",
      class: ["button", kind, small && "small", !label && "icon-only"],
      title: reason ?? title,
      "aria-label": title,
      "aria-disabled": reason ? "true" : null,
    },
    name && icon(name),
    label,
  );
  element.addEventListener("click", async (event) => {
    if (element.getAttribute("aria-disabled") === "true" || element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    try {
      await onclick(event);
    } catch (error) {
      failed(error);
    } finally {
      element.removeAttribute("aria-busy");
    }
  });
  return element;
}

/**
 * A link that looks like a button: to a view, or to a file.
 * @param {Child} label
 * @param {string} href
 * @param {{icon?: import("./icons.js").IconName, kind?: string, download?: boolean|string, title?: string, small?: boolean}} [options]
 * @returns {HTMLElement}
 */
export function linkButton(label, href, { icon: name, kind = "", download, title, small = false } = {}) {
  const classes = ["button", kind, small && "small", !label && "icon-only"];
  return h("a", { href, class: classes, download, title, "aria-label": title }, name && icon(name), label);
}

/**
 * @template T
 * @typedef {Object} Column
 * @property {Child} label the head
 * @property {(row: T) => Child} cell
 * @property {string} [class] of head and cells: `number` is right-aligned, `wide` takes the room that is left, `nowrap`,
 *   `minor` is left out on a phone
 * @property {string} [sort] the field that a click on the head sorts by
 */

/**
 * A table. On a phone each row becomes a block, its cells under their labels.
 * @template T
 * @param {Column<T>[]} columns
 * @param {T[]} rows
 * @param {Object} [options]
 * @param {string} [options.caption] for screen readers
 * @param {(row: T) => string} [options.href] where a row leads: its first cell becomes the link
 * @param {(row: T) => string|number} [options.key] becomes `data-key` of the row
 * @param {(row: T) => string} [options.rowClass]
 * @param {{field: string, descending: boolean}} [options.sorted]
 * @param {(field: string, descending: boolean) => void} [options.onSort]
 * @returns {HTMLElement}
 */
export function table(columns, rows, { caption, href, key, rowClass, sorted, onSort } = {}) {
  const head = columns.map((column) => {
    const isSorted = sorted && column.sort === sorted.field;
    const direction = isSorted ? (sorted.descending ? "descending" : "ascending") : null;
    const label =
      column.sort && onSort
        ? h(
            "button",
            { type: "button", class: "sort", onclick: () => onSort(column.sort, isSorted ? !sorted.descending : false) },
            column.label,
            isSorted && icon(sorted.descending ? "down" : "up"),
          )
        : column.label;
    return h("th", { scope: "col", class: column.class, "aria-sort": direction }, label);
  });
  const body = rows.map((row) =>
    h(
      "tr",
      { dataset: key ? { key: String(key(row)) } : {}, class: rowClass?.(row) },
      columns.map((column, at) => {
        const content = column.cell(row);
        const linked = at === 0 && href ? h("a", { href: href(row), class: "row-link" }, content) : content;
        return h("td", { class: column.class, dataset: { label: typeof column.label === "string" ? column.label : "" } }, linked);
      }),
    ),
  );
  return h(
    "div",
    { class: "table-place" },
    h(
      "table",
      { class: "table" },
      caption && h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, head)),
      h("tbody", {}, body),
    ),
  );
}

/**
 * Names and values, one under the other.
 * @param {Array<[Child, Child]|null|false>} pairs those that are null or false are left out
 * @returns {HTMLElement}
 */
export function facts(pairs) {
  const rows = pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return h("dl", { class: "facts" }, rows);
}

/**
 * A part of a view with a frame and a title.
 * @param {Child} title
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function card(title, ...children) {
  const id = uniqueId("card");
  return h("section", { class: "card", "aria-labelledby": title ? id : null }, title && h("h2", { id }, title), ...children);
}

/**
 * An input with its label, and what is wrong with it.
 * @param {Child} label
 * @param {HTMLElement} input
 * @param {Object} [options]
 * @param {Child} [options.hint]
 * @param {boolean} [options.inline] the label stands beside it: a checkbox
 * @returns {HTMLElement}
 */
export function field(label, input, { hint, inline = false } = {}) {
  input.id ||= uniqueId("field");
  const hintId = `${input.id}-hint`;
  if (hint) input.setAttribute("aria-describedby", hintId);
  const named = h("label", { for: input.id }, label);
  return h(
    "div",
    { class: ["field", inline && "inline"] },
    inline ? [input, named] : [named, input],
    hint && h("p", { class: "hint", id: hintId }, hint),
  );
}

/**
 * A choice among a few.
 * @param {Array<[string, string]>} options values and words
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
 * Say that there is nothing here, and what to do about it.
 * @param {Child} text
 * @param {...Child} more
 * @returns {HTMLElement}
 */
export function empty(text, ...more) {
  return h("div", { class: "empty" }, h("p", {}, text), ...more);
}

/**
 * Say that something is being read.
 * @param {string} [text]
 * @returns {HTMLElement}
 */
export function loading(text = "One moment …") {
  return h("p", { class: "loading", role: "status" }, text);
}

/**
 * How far something is. Without a share only that it goes on.
 * @param {number|null} share 0 to 1
 * @param {string} label
 * @returns {HTMLElement}
 */
export function progress(share, label) {
  const bar = h("progress", { max: "1", "aria-label": label });
  if (share !== null) bar.value = share;
  return h("div", { class: "progress" }, bar, h("span", { class: "minor" }, label));
}

/**
 * An error where a view or a part of it would be.
 * @param {any} error
 * @param {{again?: () => any}} [options] `again` gets a button
 * @returns {HTMLElement}
 */
export function errorBox(error, { again } = {}) {
  const details = error instanceof ApiError ? Object.entries(error.details) : [];
  return h(
    "div",
    { class: "error-box", role: "alert" },
    h("p", {}, icon("warning"), " ", errorText(error)),
    details.length > 0 && h("ul", {}, details.map(([name, what]) => h("li", {}, `${name}: ${shown(what)}`))),
    again && button("Try again", { onclick: again }),
  );
}

/**
 * What an error says to people.
 * @param {any} error
 * @returns {string}
 */
export function errorText(error) {
  const text = (error instanceof ApiError && ERRORS[error.errorId]) || error?.message || String(error);
  return text.startsWith("recbridge") ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/**
 * A short word at the page's edge, that goes by itself; screen readers say it.
 * @param {string} message
 * @param {{bad?: boolean}} [options]
 */
export function toast(message, { bad = false } = {}) {
  const element = h("div", { class: ["toast", bad && "bad"] }, bad && icon("warning"), message);
  const place = document.getElementById("toasts");
  place.append(element);
  while (place.childElementCount > 4) place.firstElementChild.remove();
  setTimeout(() => element.remove(), bad ? 10_000 : 5_000);
}

/**
 * Tell of an error that something which was asked for ended with, unless the view was only left.
 * @param {any} error
 */
export function failed(error) {
  if (aborted(error) || (error instanceof ApiError && error.status === 401)) return;
  if (!(error instanceof ApiError)) console.error(error);
  const details = error instanceof ApiError && error.status === 400 ? Object.entries(error.details) : [];
  const more = details.map(([name, what]) => `${name}: ${shown(what)}`).join("; ");
  toast(more ? `${errorText(error)} (${more})` : errorText(error), { bad: true });
}

/**
 * A dialog. Escape and its close button end it; the focus goes back to where it was.
 * @param {Child} title
 * @param {(close: (value?: any) => void) => Child} body makes its content; `close` ends it with a value
 * @param {{wide?: boolean, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} what it was closed with; undefined where somebody only left it
 */
export function dialog(title, body, { wide = false, signal } = {}) {
  return new Promise((resolve) => {
    const id = uniqueId("dialog");
    const element = h("dialog", { class: ["dialog", wide && "wide"], "aria-labelledby": id });
    let result;
    const close = (value) => {
      result = value;
      element.close();
    };
    const leave = button("", { icon: "close", kind: "plain", title: "Close", onclick: () => close() });
    replace(
      element,
      h("div", { class: "dialog-head" }, h("h2", { id }, title), leave),
      h("div", { class: "dialog-body" }, body(close)),
    );
    element.addEventListener("close", () => {
      element.remove();
      resolve(result);
    });
    signal?.addEventListener("abort", () => element.open && close());
    document.body.append(element);
    element.showModal();
  });
}

/**
 * Ask before something that cannot be undone.
 * @param {Child} question
 * @param {{yes?: string, danger?: boolean, title?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<boolean>}
 */
export async function confirm(question, { yes = "Yes", danger = false, title = "Are you sure?", signal } = {}) {
  const body = (close) => [
    h("p", {}, question),
    h(
      "div",
      { class: "dialog-actions" },
      button("Cancel", { onclick: () => close(false) }),
      button(yes, { kind: danger ? "danger" : "primary", onclick: () => close(true) }),
    ),
  ];
  return (await dialog(title, body, { signal })) === true;
}
