/**
 * Now.
 * @module
 */
import { empty, heading } from "../components.js";
import { replace } from "../dom.js";

export const title = "Now";

/**
 * @param {HTMLElement} place
 * @param {import("../app.js").Context} context
 */
export async function show(place, context) {
  replace(place, heading(title), empty("There is nothing here yet."));
}
