/**
 * Asking for an export: of the calls that a search finds, or of some calls by their numbers.
 * @module
 */
import { aborted, get, newest, post } from "../../api.js";
import { card, errorText } from "../../components.js";
import { h, setText } from "../../dom.js";
import { counted, DIRECTIONS } from "../../format.js";
import { field, form, select } from "../../forms.js";

/** What a search in Calls can be narrowed by; the same names as in its address and in the API. */
const FIELDS = [
  ["search", "Search"],
  ["number", "Number"],
  ["name", "Name"],
  ["user", "User"],
  ["queue", "Queue"],
  ["direction", "Direction"],
  ["status", "Status"],
  ["tag", "Tags"],
  ["minS", "Talked at least (s)"],
  ["maxS", "Talked at most (s)"],
];
const SHOWN = new Set(["number", "user", "queue", "direction"]);
const NUMBERS = new Set(["minS", "maxS"]);
const MOST_CALLS = 5000;

/**
 * @param {import("../../app.js").Context} context its parameters say what the form begins with
 * @returns {HTMLElement}
 */
export function newExport({ params, go, signal }) {
  const cdrs = (params.get("cdrs") ?? "").split(",").map(Number).filter((one) => Number.isInteger(one) && one > 0);
  const inputs = new Map();
  const email = h("input", { type: "email", name: "email", autocomplete: "email" });
  const found = h("p", { class: "minor", role: "status" });

  const input = (name, attributes) => {
    const element = h("input", { name, value: params.get(name) ?? "", ...attributes });
    inputs.set(name, element);
    return element;
  };
  const rows = [];
  if (cdrs.length === 0) {
    const times = { type: "datetime-local", step: "60" };
    rows.push(
      field("From", input("from", { ...times, value: localTime(params.get("from")) })),
      field("Until", input("until", { ...times, value: localTime(params.get("until")) })),
    );
    for (const [name, label] of FIELDS) {
      if (!SHOWN.has(name) && !params.get(name)) continue;
      if (name === "direction") {
        const choice = select([["", "any"], ...Object.entries(DIRECTIONS)], params.get(name) ?? "", { name });
        inputs.set(name, choice);
        rows.push(field(label, choice));
      } else {
        rows.push(field(label, input(name, { type: NUMBERS.has(name) ? "number" : "text" })));
      }
    }
  }

  const filter = () => {
    const wanted = { recorded: true };
    for (const [name, element] of inputs) {
      const text = element.value.trim();
      if (text === "") continue;
      if (name === "from" || name === "until") wanted[name] = new Date(text).getTime();
      else wanted[name] = NUMBERS.has(name) ? Number(text) : text;
    }
    return wanted;
  };

  const turn = newest(signal);
  async function count() {
    if (cdrs.length > 0) {
      setText(found, `${counted(cdrs.length, "call")} ${cdrs.length === 1 ? "is" : "are"} chosen.`);
      return;
    }
    try {
      const answer = await get("/api/v1/cdrs", { ...filter(), limit: 1 }, { signal: turn() });
      setText(found, `${answer.atLeast ? "At least " : ""}${counted(answer.filtered, "call")} with a recording ${answer.filtered === 1 ? "fits" : "fit"}.`);
    } catch (error) {
      if (!aborted(error)) setText(found, errorText(error));
    }
  }

  async function ask() {
    const what = cdrs.length > 0 ? { cdrs: cdrs.slice(0, MOST_CALLS) } : { filter: filter() };
    const body = email.value.trim() ? { ...what, email: email.value.trim() } : what;
    const made = await post("/api/v1/exports", body);
    if (!signal.aborted) go(`/exports?id=${encodeURIComponent(made.id)}`, { replace: true });
  }

  const asking = form(
    [
      rows.length > 0 && h("div", { class: "fields" }, rows),
      found,
      field("Mail when it is done, to", email, { hint: "Leave it empty for no mail." }),
    ],
    { submit: "Make the export", onSubmit: ask, onCancel: () => go("/exports", { replace: true }) },
  );
  asking.addEventListener("change", count);
  count();
  const about = h("p", { class: "minor" }, "All recordings of these calls that you may hear become one zip, with a manifest that has the checksum of each.");
  return h("div", { class: "new-export" }, card("New export", about, asking));
}

/** What `datetime-local` takes of a time in the address: epoch milliseconds, or ISO 8601. */
function localTime(text) {
  if (!text) return "";
  const at = new Date(/^\d+$/.test(text) ? Number(text) : text);
  if (Number.isNaN(at.getTime())) return "";
  const shifted = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}
