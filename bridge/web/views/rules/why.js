/**
 * "Why?": a call, or an imagined one, and each rule's answer.
 * @module
 */
import { aborted, get, newest, post } from "../../api.js";
import { card, errorBox, loading } from "../../components.js";
import { h, replace } from "../../dom.js";
import { DIRECTIONS, person, shortMoment } from "../../format.js";
import { field, form, select } from "../../forms.js";
import { explanation } from "./answers.js";

const RECENT = 25;
const ASK = "Ask the rules";
const OWN = ["call", "from", "to", "direction", "queue", "dialed", "context", "at", "variables", "channels", "callId"];

/**
 * @param {import("../../app.js").Context} context
 * @returns {HTMLElement}
 */
export function why(context) {
  const { params, setParams, signal } = context;
  const place = h("div", { class: "stack", "aria-live": "polite" });
  const forms = h("div", {});
  const kinds = [
    ["call", "A call"],
    ["imagined", "An imagined call"],
  ].map(([kind, words]) => h("button", { type: "button", class: "button small", onclick: () => choose(kind) }, words));
  const turn = newest(signal);

  function choose(kind) {
    kinds.forEach((one, at) => one.setAttribute("aria-pressed", String((at === 0) === (kind === "call"))));
    replace(forms, kind === "call" ? callForm() : imaginedForm());
    replace(place);
  }

  /** Ask, and have the address say what was asked. */
  async function ask(query, body) {
    setParams({ ...Object.fromEntries(OWN.map((name) => [name, null])), ...query }, { replace: true });
    replace(place, loading());
    try {
      const answer = await post("/api/v1/rules/explain", body, { signal: turn() });
      replace(place, explanation(answer));
    } catch (error) {
      if (!aborted(error)) replace(place, errorBox(error));
    }
  }

  function callForm() {
    const input = h("input", { type: "text", name: "call", required: true, autocomplete: "off", value: params.get("call") ?? "", class: "mono" });
    const recent = h("div", { class: "why-recent" });
    fillRecent(recent, (id) => {
      input.value = id;
      ask({ call: id }, { call: id });
    });
    return form(
      [
        field("Number of the call, its id, a recordId, or a channel of a call that runs", input),
        recent,
      ],
      { submit: ASK, class: "stack why-form", onSubmit: () => ask({ call: input.value.trim() }, { call: input.value.trim() }) },
    );
  }

  async function fillRecent(recent, chosen) {
    try {
      const { items } = await get("/api/v1/cdrs", { limit: RECENT }, { signal });
      if (items.length === 0) return;
      const options = items.map((one) => [String(one.id), `${shortMoment(one.startedAt)}  ${person(one.source)} → ${person(one.destination)}`]);
      const picker = select([["", "Choose …"], ...options], "", { onchange: () => picker.value && chosen(picker.value) });
      replace(recent, field("or one of the newest", picker));
    } catch {
      // The number can still be typed in.
    }
  }

  function imaginedForm() {
    const input = (name, attributes = {}) => h("input", { type: "text", name, autocomplete: "off", value: params.get(name) ?? "", ...attributes });
    const inputs = {
      from: input("from", { required: true }),
      to: input("to", { required: true }),
      direction: select([["", "by who is outside"], ...Object.entries(DIRECTIONS)], params.get("direction") ?? "", { name: "direction" }),
      queue: input("queue"),
      dialed: input("dialed"),
      context: input("context"),
      channels: input("channels"),
      variables: input("variables"),
      callId: input("callId"),
      at: h("input", { type: "datetime-local", name: "at", value: params.get("at") ?? "" }),
    };
    const labels = {
      from: ["Who calls", "A user or its extension, or a number outside"],
      to: ["Who answers", "The same"],
      direction: ["Direction"],
      at: ["When", "Empty: now"],
      queue: ["Queue"],
      dialed: ["Dialled first", "Empty: the number of who answers"],
      context: ["Context"],
      channels: ["Channels", "With spaces between them"],
      variables: ["Variables", "CAMPAIGN=spring; PRIVATE=1"],
      callId: ["Call id", "What a sample goes by"],
    };
    const fields = Object.entries(labels).map(([name, [label, hint]]) => field(label, inputs[name], { hint }));
    const onSubmit = () => {
      const said = Object.fromEntries(Object.entries(inputs).map(([name, one]) => [name, one.value.trim()]).filter(([, value]) => value));
      return ask(said, imagined(said));
    };
    return form([h("div", { class: "grid why-imagined" }, fields)], { submit: ASK, class: "stack why-form", onSubmit });
  }

  const part = card("Why?", h("div", { class: "row why-kinds", role: "group", "aria-label": "About" }, kinds), forms, place);
  const call = params.get("call");
  choose(call || !params.get("from") ? "call" : "imagined");
  if (call) ask({ call }, { call });
  else if (params.get("from") && params.get("to")) {
    const said = Object.fromEntries(OWN.map((name) => [name, params.get(name)]).filter(([, value]) => value));
    ask(said, imagined(said));
  }
  return part;
}

/** What the API is asked. */
function imagined(said) {
  const { at, channels, variables, ...rest } = said;
  return {
    ...rest,
    ...(at && { at: new Date(at).toISOString() }),
    ...(channels && { channels: channels.split(/\s+/) }),
    ...(variables && { variables: pairs(variables) }),
  };
}

/** `CAMPAIGN=spring; PRIVATE=1` */
function pairs(text) {
  return Object.fromEntries(
    text
      .split(";")
      .map((one) => one.trim())
      .filter(Boolean)
      .map((one) => {
        const at = one.indexOf("=");
        return at < 0 ? [one, ""] : [one.slice(0, at).trim(), one.slice(at + 1).trim()];
      }),
  );
}
