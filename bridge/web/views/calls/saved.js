/**
 * Searches that somebody has given a name; they stay in this browser, where others who sign in do not see them: names and
 * numbers stand in them. Whom they are to reach gets the address itself.
 * @module
 */
import { button, confirm, dialog, toast } from "../../components.js";
import { h, replace } from "../../dom.js";
import { field, form } from "../../forms.js";

/** @param {import("../../app.js").Session} session */
const keyOf = (session) => `recbridge.searches.${session.identity}`;

/** @returns {Array<{name: string, query: string}>} */
function keptBy(key) {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one?.name === "string" && typeof one?.query === "string") : [];
  } catch {
    return [];
  }
}

function keepFor(key, searches) {
  try {
    localStorage.setItem(key, JSON.stringify(searches));
  } catch {
    toast("This browser keeps nothing: share the address instead.", { bad: true });
  }
}

/**
 * @param {import("../../app.js").Context} context
 * @returns {HTMLElement}
 */
export function savedSearches({ params, go, session }) {
  const place = h("div", { class: "saved" });
  const kept = () => keptBy(keyOf(session));
  const keep = (searches) => keepFor(keyOf(session), searches);

  async function save() {
    const name = await dialog("Save this search", (close) => {
      const input = h("input", { type: "text", name: "name", required: true, maxlength: "60", autocomplete: "off" });
      const named = field("Name", input, { hint: "It is kept in this browser. To show it to others send them the address." });
      return form([named], { submit: "Save", onCancel: close, onSubmit: () => input.value.trim() && close(input.value.trim()) });
    });
    if (!name) return;
    const query = new URLSearchParams(params);
    query.delete("cursor");
    keep([...kept().filter((one) => one.name !== name), { name, query: query.toString() }]);
    draw();
  }

  async function remove(one) {
    if (!(await confirm(`“${one.name}” is forgotten.`, { yes: "Forget", title: "Forget this search?" }))) return;
    keep(kept().filter((other) => other.name !== one.name));
    draw();
  }

  function draw() {
    const searches = kept();
    replace(
      place,
      searches.length > 0 && h("span", { class: "minor small" }, "Saved:"),
      searches.map((one) =>
        h(
          "span",
          { class: "saved-one" },
          button(one.name, { kind: "plain", small: true, onclick: () => go(`/calls${one.query ? `?${one.query}` : ""}`) }),
          button("", { icon: "close", kind: "plain", small: true, title: `Forget ${one.name}`, onclick: () => remove(one) }),
        ),
      ),
      button("Save this search", { kind: "plain", small: true, icon: "plus", onclick: save }),
    );
  }

  draw();
  return place;
}
