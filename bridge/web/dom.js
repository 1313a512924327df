/**
 * Building the page. Text goes in as text: there is no way from data to markup here.
 * @module
 */

/** @typedef {Node|string|number|null|undefined|false|Array<any>} Child what may stand in an element; null and false are left out */

/** Properties that are set as such: as attributes they would only say how it began. */
const PROPERTIES = new Set(["value", "checked", "indeterminate", "disabled", "hidden", "open", "selected", "htmlFor"]);

/**
 * An element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag its name
 * @param {Object<string, any>} [attributes] `class` (text, or an array whose false items are left out), `dataset` and
 *   `style` (objects), `onclick` and the like (functions), properties (`value`, `checked`, `disabled`, `hidden`, …),
 *   and any other attribute; true sets it empty, false, null and undefined leave it out
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 * @example h("button", {type: "button", class: ["button", big && "big"], onclick: save}, "Save")
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  add(element, children);
  return element;
}

/**
 * Set attributes of an element that is there, by the same words as `h`.
 * @param {HTMLElement} element
 * @param {Object<string, any>} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "class") {
      element.setAttribute("class", Array.isArray(value) ? value.filter(Boolean).join(" ") : value ?? "");
    } else if (name === "dataset") {
      for (const [key, text] of Object.entries(value)) if (text != null) element.dataset[key] = text;
    } else if (name === "style") {
      for (const [key, text] of Object.entries(value)) {
        if (key.startsWith("--")) element.style.setProperty(key, text);
        else /** @type {any} */ (element.style)[key] = text;
      }
    } else if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2), value);
    } else if (PROPERTIES.has(name)) {
      if (value != null) /** @type {any} */ (element)[name] = value;
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value === false || value == null) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, String(value));
    }
  }
}

/** @param {ParentNode} place @param {Child[]} children */
function add(place, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(place, child);
    else if (child instanceof Node) place.append(child);
    else if (child !== null && child !== undefined && child !== false) place.append(String(child));
  }
}

/**
 * Put these children in the place of those that are there.
 * @param {Element} place
 * @param {...Child} children
 */
export function replace(place, ...children) {
  const fragment = document.createDocumentFragment();
  add(fragment, children);
  place.replaceChildren(fragment);
}

/**
 * Set an element's text, only where it changes: so live regions are not read out again, and a selection stays.
 * @param {Element} element
 * @param {string|number} text
 */
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * A list that is kept in step with its items. What has the same key keeps its element, and with it the focus, the
 * selection and what is open in it; elements move only where the order changed.
 * @template T
 * @param {Element} place holds nothing but these elements
 * @param {T[]} items
 * @param {(item: T) => string|number} key unique among the items
 * @param {(item: T) => HTMLElement} make the element of a new item
 * @param {(element: HTMLElement, item: T) => void} [update] for those that stay, and right after `make`
 */
export function keyed(place, items, key, make, update) {
  const wanted = new Set(items.map((item) => String(key(item))));
  const old = new Map();
  for (const element of /** @type {HTMLElement[]} */ ([...place.children])) {
    // What is over goes first: else everything behind it would move, and a moved element loses the focus.
    if (wanted.has(element.dataset.key)) old.set(element.dataset.key, element);
    else element.remove();
  }
  let at = place.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = old.get(name);
    if (!element) {
      element = make(item);
      element.dataset.key = name;
    }
    update?.(element, item);
    if (element === at) at = element.nextElementSibling;
    else place.insertBefore(element, at);
  }
}

let last = 0;

/**
 * An id that no other element has, for `label for`, `aria-describedby` and the like.
 * @param {string} [prefix]
 * @returns {string}
 */
export function uniqueId(prefix = "id") {
  last += 1;
  return `${prefix}-${last}`;
}
