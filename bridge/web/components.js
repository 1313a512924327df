/**
 * The parts that views are made of. Their looks are in style.css.
 * @module
 */
import { aborted, ApiError, get } from "./api.js";
import { h, replace, setText, uniqueId } from "./dom.js";
import { ERRORS, stateOf } from "./format.js";
import { icon } from "./icons.js";

/** @typedef {import("./dom.js").Child} Child */

const BACK_MS = 4000;

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
 * Names and values, one under the other.
 * @param {Array<Child[]|null|false>} pairs those that are null or false are left out
 * @returns {HTMLElement}
 */
export function facts(pairs) {
  const rows = pairs.map((pair) => pair && h("div", {}, h("dt", {}, pair[0]), h("dd", {}, pair[1])));
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
 * An error where a view or a part of it would be.
 * @param {any} error
 * @param {{again?: () => any}} [options] `again` gets a button; where the daemon was not reached, it is called when it is
 * @returns {HTMLElement}
 */
export function errorBox(error, { again } = {}) {
  const details = error instanceof ApiError ? Object.entries(error.details) : [];
  const box = h(
    "div",
    { class: "error-box", role: "alert" },
    h("p", {}, icon("warning"), " ", errorText(error)),
    details.length > 0 && h("ul", {}, details.map(([name, what]) => h("li", {}, `${name}: ${shown(what)}`))),
    again && button("Try again", { onclick: again }),
  );
  if (again && error instanceof ApiError && error.errorId === "unreachable") whenReached(box, again);
  return box;
}

/** Looks whether the daemon answers again, as long as the box stands there and somebody sees it. */
function whenReached(box, again) {
  setTimeout(async () => {
    if (!box.isConnected) return;
    const back = !document.hidden && (await get("/health").then(() => true, () => false));
    if (!back) whenReached(box, again);
    else if (box.isConnected) again();
  }, BACK_MS);
}

/**
 * Says that what is shown may be old, while it cannot be read anew.
 * @returns {{element: HTMLElement, show: (error: any) => void}} `show` what it cannot be read for; null where it can be
 */
export function staleNotice() {
  const words = h("span");
  const element = h("p", { class: "notice stale", role: "status", hidden: true }, icon("warning"), words);
  let lost = false;
  return {
    element,
    show(error) {
      element.hidden = error === null;
      if (error === null) {
        if (lost) toast("Connected again.");
        lost = false;
        return;
      }
      lost = !(error instanceof ApiError) || error.status === 0;
      const why = lost ? "The connection is lost." : errorText(error).replace(/[^.!?]$/, "$&.");
      setText(words, `${why} What you see may be old; it comes back by itself.`);
    },
  };
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
  const place = /** @type {HTMLElement} */ (document.getElementById("toasts"));
  place.append(element);
  while (place.childElementCount > 4) place.firstElementChild?.remove();
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
 * A dialog; it ends with the view, too. Escape and its close button end it; the focus goes to its first input, and back to where it was.
 * @param {Child} title
 * @param {(close: (value?: any) => void) => Child} body makes its content; `close` ends it with a value
 * @returns {Promise<any>} what it was closed with; undefined where somebody only left it
 */
export function dialog(title, body) {
  return new Promise((resolve) => {
    const id = uniqueId("dialog");
    const element = h("dialog", { class: "dialog", "aria-labelledby": id });
    /** @type {any} */
    let result;
    const close = (/** @type {any} */ value) => {
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
    document.body.append(element);
    element.showModal();
    const first = element.querySelector(".dialog-body :is(input, textarea, select)");
    if (first instanceof HTMLElement) first.focus();
  });
}

/**
 * Ask before something that cannot be undone.
 * @param {Child} question
 * @param {{yes?: string, danger?: boolean, title?: string}} [options]
 * @returns {Promise<boolean>}
 */
export async function confirm(question, { yes = "Yes", danger = false, title = "Are you sure?" } = {}) {
  const body = (/** @type {(value?: any) => void} */ close) => [
    h("p", {}, question),
    h(
      "div",
      { class: "form-actions" },
      button("Cancel", { onclick: () => close(false) }),
      button(yes, { kind: danger ? "danger" : "primary", onclick: () => close(true) }),
    ),
  ];
  return (await dialog(title, body)) === true;
}
