/**
 * What stands around a call's timeline: who with whom, its recordings, tags, notes, holds, and who listened.
 * @module
 */
import { del, post } from "../../api.js";
import { badge, button, card, confirm, dialog, facts, linkButton } from "../../components.js";
import { h } from "../../dom.js";
import { bytes, counted, DIRECTIONS, duration, moment, person, reason, STATES, time } from "../../format.js";
import { field, form } from "../../forms.js";
import { icon } from "../../icons.js";
import { table } from "../../table.js";
import { hasAudio, list } from "./model.js";

/** @typedef {import("./model.js").Model} Model */

/** How long they may be: `bridge/core/call_details.py`. */
const MOST_TAG = 40;
const MOST_NOTE = 4000;
const ADDING = { submit: "Add", quiet: true, class: "adding" };

/**
 * Who with whom, when, how long, and whether it is recorded.
 * @param {Model} model
 * @param {{mayAsk: boolean}} options `mayAsk`: a link to what the rules said of it
 * @returns {HTMLElement}
 */
export function head(model, { mayAsk }) {
  const { call } = model;
  const [from, to] = [person(call.source), person(call.destination)];
  const status = STATES[call.status];
  return h(
    "div",
    { class: "call-head" },
    h("h1", {}, from, " ", icon("right", "called"), " ", to),
    h("p", { class: "row" },
      h("span", {}, moment(call.startedAt)),
      h("span", { class: "tabular" }, duration(call.durationS)),
      h("span", {}, icon(call.direction in DIRECTIONS ? call.direction : "phone"), " ", DIRECTIONS[call.direction] ?? call.direction),
      call.status && badge(call.status, status?.word ?? call.status),
      recordedBadge(model)),
    facts([
      ["Talked", call.talkedS > 0 ? duration(call.talkedS) : "nobody talked"],
      ["Recorded", [recordedWords(model), mayAsk && [" · ", h("a", { href: `/rules?call=${call.id}` }, "Why?")]]],
      call.answeredAt !== null && ["Answered", `${time(call.answeredAt)}, after ${duration((call.answeredAt - call.startedAt) / 1000)}`],
      call.queue && ["Queue", call.queue],
      call.dialed && ["Dialled", call.dialed],
      call.participants.length > 0 && ["Users", call.participants.join(", ")],
    ]),
  );
}

function recordedBadge(model) {
  if (!model.call.recorded) return badge("not-recorded");
  if (model.lanes.some(hasAudio)) return badge("recorded");
  const tracks = model.lanes.flatMap((lane) => lane.tracks);
  return tracks.some((track) => track.section.deleted) ? badge("deleted") : badge(tracks[0]?.section.state ?? "failed");
}

function recordedWords({ call, lanes }) {
  if (call.recorded) return `${duration(call.recordedS)} in ${counted(call.sections, "section")}`;
  const reasons = [...new Set(lanes.flatMap((lane) => lane.gaps.map((gap) => gap.reason)))].map(reason);
  return `no: ${list(reasons.filter(Boolean)) || (call.talkedS > 0 ? "nobody knows why" : "nobody talked")}`;
}

/**
 * The sections with what may be done with each.
 * @param {Model} model
 * @param {Object} options
 * @param {boolean} options.mayPlay
 * @param {boolean} options.mayDownload
 * @param {(atS: number, lane: import("./model.js").Lane) => void} options.onPick
 * @returns {HTMLElement|null}
 */
export function recordings(model, { mayPlay, mayDownload, onPick }) {
  const rows = model.lanes.flatMap((lane) => lane.tracks.map((track) => ({ lane, track })));
  if (rows.length === 0) return null;
  const state = ({ section, playable }) => {
    if (section.deleted) return [badge("deleted"), section.deletedAt ? h("div", { class: "minor small" }, moment(section.deletedAt)) : null];
    return [badge(playable ? "stored" : section.state), section.reason && h("div", { class: "minor small" }, reason(section.reason))];
  };
  const columns = [
    { label: "Section", cell: ({ lane, track }) => `${track.section.file} of ${lane.name}`, class: "wide" },
    { label: "From", cell: ({ track }) => h("span", { class: "tabular" }, `${duration(track.startS)} (${time(track.section.startedAt)})`), class: "nowrap" },
    { label: "Length", cell: ({ track }) => duration(track.section.durationS), class: "number nowrap" },
    { label: "Sides", cell: ({ track }) => sides(track.section, model), class: "minor" },
    { label: "Size", cell: ({ track }) => (track.section.deleted ? "–" : bytes(track.section.sizeBytes)), class: "number nowrap" },
    { label: "State", cell: ({ track }) => state(track) },
    { label: h("span", { class: "unseen" }, "What you may do"), cell: ({ lane, track }) => h("div", { class: "row doings" }, actions(lane, track)), class: "nowrap" },
  ];
  const actions = (lane, track) => track.playable && [
    mayPlay && button("Play", { icon: "play", small: true, title: `Play section ${track.section.file} of ${lane.name}`, onclick: () => onPick(track.startS, lane) }),
    mayDownload && linkButton("Download", `${track.path}?download=true`, { icon: "download", small: true, download: true, title: `Download section ${track.section.file} of ${lane.name}` }),
  ];
  const lacks = !mayDownload && rows.some(({ track }) => track.playable);
  return card("Recordings", table(columns, rows, { caption: "Recordings" }), lacks && h("p", { class: "hint" }, "Downloads need a token with the scope download."));
}

function sides(section, model) {
  if (section.channels !== 2) return "mono";
  const words = (parties, others) => list(parties.map(model.nameOf)) || others;
  return `left ${words(section.left, "one side")}, right ${words(section.right, "the others")}`;
}

/**
 * Tags: of the rules, and of people, who may add and remove theirs.
 * @param {Object<string, any>} call
 * @param {() => Promise<void>} anew reads the call anew
 * @returns {HTMLElement}
 */
export function tags(call, anew) {
  const path = `/api/v1/cdrs/${call.id}/tags`;
  const one = ({ tag, source, by, at }) => {
    const from = source === "rule" ? "from a rule" : `by ${by || "somebody"}, ${moment(at)}`;
    return h("li", { class: "tag", title: from }, icon("tag"), tag,
      source !== "rule" && button("", { icon: "close", kind: "plain", small: true, title: `Remove the tag ${tag}`, onclick: () => del(`${path}/${encodeURIComponent(tag)}`).then(anew) }));
  };
  const input = h("input", { type: "text", maxlength: String(MOST_TAG), required: true, autocomplete: "off" });
  const add = async () => {
    await post(path, { tag: input.value.trim() });
    await anew();
  };
  return card("Tags",
    call.tagged.length > 0 && h("ul", { class: "tags" }, call.tagged.map(one)),
    form([field("New tag", input)], { ...ADDING, onSubmit: add }));
}

/**
 * Notes, oldest first.
 * @param {Object<string, any>} call
 * @param {() => Promise<void>} anew
 * @returns {HTMLElement}
 */
export function notes(call, anew) {
  const path = `/api/v1/cdrs/${call.id}/notes`;
  const one = (note) => h("li", {},
    h("p", { class: "note-text" }, note.text),
    h("p", { class: "row minor small" }, h("span", {}, `${note.by || "somebody"}, ${moment(note.at)}`),
      note.mayDelete && button("", { icon: "trash", kind: "plain", small: true, title: "Delete this note", onclick: async () => {
        if (!(await confirm("The note is deleted for everybody.", { yes: "Delete", danger: true }))) return;
        await del(`${path}/${encodeURIComponent(note.id)}`);
        await anew();
      } })));
  const input = h("textarea", { rows: "2", maxlength: String(MOST_NOTE), required: true });
  const add = async () => {
    await post(path, { text: input.value.trim() });
    await anew();
  };
  return card("Notes", call.notes.length > 0 && h("ul", { class: "notes" }, call.notes.map(one)), form([field("New note", input)], { ...ADDING, onSubmit: add }));
}

/**
 * Legal holds on the call: admins see, set and release them.
 * @param {Object<string, any>} call
 * @param {() => Promise<void>} anew
 * @returns {HTMLElement}
 */
export function holds(call, anew) {
  const inForce = call.holds.filter((hold) => hold.releasedAt === null);
  const set = async () => {
    const why = await askWhy("Hold this call", "Nothing of this call is deleted until the hold is released.", "Set the hold");
    if (!why) return;
    await post("/api/v1/holds", { callId: call.callId, why });
    await anew();
  };
  const release = async (hold) => {
    const why = await askWhy("Release the hold", "What is over its time is deleted then.", "Release");
    if (!why) return;
    await post(`/api/v1/holds/${encodeURIComponent(hold.id)}/release`, { why });
    await anew();
  };
  const one = (hold) => h("li", {},
    h("p", {}, icon("lock"), " ", hold.why, hold.callId === null && h("span", { class: "minor" }, ` (${target(hold)})`)),
    h("p", { class: "row minor small" },
      h("span", {}, `${hold.who}, ${moment(hold.setAt)}`),
      hold.releasedAt === null
        ? button("Release", { small: true, onclick: () => release(hold) })
        : h("span", {}, `released by ${hold.releasedBy}, ${moment(hold.releasedAt)}: ${hold.releasedWhy}`)));
  return card("Legal hold",
    call.holds.length > 0 ? h("ul", { class: "notes" }, call.holds.map(one)) : h("p", { class: "minor" }, "No hold covers this call."),
    button(inForce.length > 0 ? "Set another hold" : "Set a hold", { icon: "lock", onclick: set }));
}

function target(hold) {
  const parts = [hold.number && `number ${hold.number}`, hold.identity && `user ${hold.identity}`, hold.recordId && `record ${hold.recordId}`];
  return list(parts.filter(Boolean)) || "all calls of a time";
}

function askWhy(title, what, yes) {
  return dialog(title, (close) => {
    const input = h("textarea", { rows: "2", required: true, maxlength: "1000" });
    return form([h("p", {}, what), field("Why", input)], { submit: yes, onCancel: close, onSubmit: () => input.value.trim() && close(input.value.trim()) });
  });
}

const HAD = { exported: "downloaded in an export" };

/**
 * Who played and who downloaded.
 * @param {Array<Object<string, any>>} listened
 * @returns {HTMLElement}
 */
export function listeners(listened) {
  const columns = [
    { label: "Who", cell: (one) => `${one.identity || "somebody (erased)"} ${HAD[one.kind] ?? one.kind} rule ${one.ruleId}, section ${one.file}`, class: "wide" },
    { label: "When", cell: (one) => moment(one.at), class: "nowrap" },
  ];
  return card("Who listened", listened.length > 0 ? table(columns, listened, { caption: "Who listened" }) : h("p", { class: "minor" }, "Nobody yet."));
}

/**
 * The timeline in words.
 * @param {Array<{atS: number, words: string}>} rows
 * @param {Model} model
 * @param {((atS: number) => void)|null} onPick null where nothing can be played
 * @returns {HTMLElement}
 */
export function story(rows, model, onPick) {
  const at = (row) => (onPick === null ? duration(row.atS) : h("button", { type: "button", class: "moment", "aria-label": `Play from ${duration(row.atS)}`, onclick: () => onPick(row.atS) }, duration(row.atS)));
  const columns = [
    { label: "At", cell: at, class: "number" },
    { label: "Time", cell: (row) => time(model.startedAt + row.atS * 1000), class: "nowrap minor" },
    { label: "What", cell: (row) => row.words, class: "wide" },
  ];
  const shown = card("What happened", table(columns, rows, { caption: "What happened" }));
  shown.classList.add("story");
  return shown;
}
