/**
 * What happened in a call, in words.
 * @module
 */
import { duration, reason, stateOf } from "../../format.js";
import { list } from "./model.js";

/** What a party does, by its lane's states. @type {Object<string, string>} */
export const LANE_STATES = {
  ringing: "ringing",
  waiting: "waiting",
  talking: "talking",
  held: "on hold",
  holding: "has the others on hold",
  parked: "parked",
};

const HOW = { api: "in the console or by the API", phone: "on the phone", pause_at_most: "by itself, its longest time was over" };
const DONE = { started: "started", stopped: "stopped", paused: "paused", resumed: "resumed" };

/** Why somebody could not start, stop, pause or resume, by the event's `code`. @type {Object<string, string>} */
const REFUSALS = {
  "recording-automatic": "a rule records it by itself",
  "not-allowed-by-rules": "no rule lets them",
  "pause-not-allowed": "the rule lets nobody pause",
  "recording-of-another": "it is another user's recording",
  "control-forbidden": "it is not theirs to do",
  "already-recording": "it was recorded already",
  "recorded-by-another": "another user recorded it already",
  "not-recording": "nothing was recorded",
  "record-paused": "it was paused",
  "not-paused": "it was not paused",
  "not-in-talk": "nobody talked",
  "talk-over": "the talk was over",
  "not-confirmed": "Asterisk did not confirm it",
};

/**
 * From when to when, in call time: `0:03 to 0:21`.
 * @param {number} startS
 * @param {number} endS
 */
export const span = (startS, endS) => `${duration(startS)} to ${duration(endS)}`;

/**
 * Why a rule did not record.
 * @param {Object<string, any>} gap
 */
export const gapWords = (gap) => `not recorded: ${reason(gap.reason)}`;

/**
 * What became of a section.
 * @param {Object<string, any>} section
 */
export function sectionWords(section) {
  const which = `section ${section.file}`;
  if (section.deleted) return `${which}, deleted`;
  if (section.playable) return `${which}, recorded`;
  const why = section.reason ? `: ${reason(section.reason)}` : "";
  return `${which}, ${stateOf(section.state).word}${why}`;
}

/**
 * An event of the timeline.
 * @param {Object<string, any>} event
 * @param {import("./model.js").Model} model
 */
export function eventWords(event, model) {
  const own = model.parties.find((party) => event.identity && party.identity === event.identity);
  const who = event.party === null ? own?.label ?? (event.identity || "recbridge") : model.nameOf(event.party);
  switch (event.kind) {
    case "transferred": {
      const whom = event.transferred === null ? "the call" : model.nameOf(event.transferred);
      const to = event.target === null ? event.number : model.nameOf(event.target);
      const how = { blind: " without asking first (blind)", attended: " after asking first (attended)" }[event.how] ?? "";
      return `${who} transferred ${whom}${to ? ` to ${to}` : ""}${how}`;
    }
    case "held":
      return `${who} put the others on hold`;
    case "unheld":
      return `${who} took the others off hold`;
    case "parked":
      return `${who} was parked`;
    case "unparked":
      return `${who} was taken out of the parking lot`;
    case "refused":
      return `${who} could not ${event.verb || "do that to"} a recording: ${REFUSALS[event.code] ?? event.code.replaceAll("-", " ")}`;
    default: {
      const rules = list(event.ruleIds.map((id) => `rule ${id}`));
      const how = HOW[event.how] ? ` (${HOW[event.how]})` : "";
      return `${who} ${DONE[event.kind] ?? event.kind} the recording${rules ? ` of ${rules}` : ""}${how}`;
    }
  }
}

/**
 * All that happened, in order: what the timeline draws, for those who read.
 * @param {import("./model.js").Model} model
 * @returns {Array<{atS: number, words: string}>}
 */
export function happened(model) {
  const { timeline } = model.call;
  const rows = timeline.events.map((event) => ({ atS: model.at(event.at), words: eventWords(event, model), order: 2 }));
  for (const party of model.parties) {
    for (const one of party.lane) {
      if (one.state !== "ringing" && one.state !== "held" && one.state !== "parked") continue;
      const [startS, endS] = [model.at(one.startedAt), model.at(one.endedAt)];
      rows.push({ atS: startS, words: `${party.label}: ${LANE_STATES[one.state]} until ${duration(endS)}`, order: 1 });
    }
  }
  for (const talk of model.talks) {
    rows.push({ atS: talk.startS, words: `${talk.who} talk until ${duration(talk.endS)}`, order: 3 });
  }
  for (const lane of model.lanes) {
    for (const track of lane.tracks) {
      const { section } = track;
      rows.push({ atS: track.startS, words: `${lane.name}: ${sectionWords(section)}, until ${duration(track.endS)}`, order: 4 });
    }
    for (const gap of lane.gaps) {
      rows.push({ atS: gap.startS, words: `${lane.name}: ${gapWords(gap)}, until ${duration(gap.endS)}`, order: 5 });
    }
  }
  return rows.sort((a, b) => a.atS - b.atS || a.order - b.order);
}
