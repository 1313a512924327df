/**
 * Tables. Their looks are in style.css.
 * @module
 */
import { h } from "./dom.js";

/** @typedef {import("./dom.js").Child} Child */

/**
 * @template T
 * @typedef {Object} Column
 * @property {Child} label the head
 * @property {(row: T) => Child} cell
 * @property {string} [class] of head and cells: `number` is right-aligned, `wide` takes the room that is left, `nowrap`,
 *   `minor` is left out on a phone
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
 * @returns {HTMLElement}
 */
export function table(columns, rows, { caption, href, key } = {}) {
  const head = columns.map((column) => h("th", { scope: "col", class: column.class }, column.label));
  const body = rows.map((row) =>
    h(
      "tr",
      { dataset: key ? { key: String(key(row)) } : {} },
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
