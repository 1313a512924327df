/**
 * What a finished call says, made ready for drawing and playing. Times are seconds from the timeline's beginning.
 * @module
 */
import { person } from "../../format.js";

/**
 * A section as it lies on the timeline.
 * @typedef {Object} Track
 * @property {Object<string, any>} section `TimelineSection` of the API
 * @property {number} startS
 * @property {number} endS
 * @property {boolean} playable
 * @property {string} path where its audio is
 */

/**
 * What one rule recorded in one record: what is played through as one.
 * @typedef {Object} Lane
 * @property {string} key
 * @property {string} recordId
 * @property {number|null} ruleId null where no rule had to do with a talk
 * @property {string} name
 * @property {Track[]} tracks in the order of time
 * @property {Array<Object<string, any>>} gaps `GapItem`s with `startS` and `endS`
 */

/**
 * @typedef {Object} Model
 * @property {Object<string, any>} call as the API gave it
 * @property {number} startedAt epoch milliseconds
 * @property {number} lengthS
 * @property {Array<Object<string, any>>} parties `TimelineParty`s with `label`
 * @property {Lane[]} lanes those with something to play first
 * @property {Array<{id: string, startS: number, endS: number, who: string}>} talks
 * @property {(uniqueid: string|null) => string} nameOf a party in words
 * @property {(ms: number) => number} at seconds of epoch milliseconds
 */

/**
 * @param {Object<string, any>} call `GET /api/v1/cdrs/{cdr}`
 * @returns {Model}
 */
export function modelOf(call) {
  const { timeline } = call;
  const at = (ms) => (ms - timeline.startedAt) / 1000;
  const parties = named(timeline.parties);
  const names = new Map(parties.map((party) => [party.uniqueid, party.label]));
  const nameOf = (uniqueid) => names.get(uniqueid) ?? "somebody";
  const lanes = lanesOf(timeline, at);
  const ends = lanes.flatMap((lane) => lane.tracks.map((track) => track.endS));
  return {
    call,
    startedAt: timeline.startedAt,
    lengthS: Math.max(at(timeline.endedAt), ...ends, 0.1),
    parties,
    lanes,
    talks: timeline.talks.map((talk) => ({
      id: talk.id,
      startS: at(talk.startedAt),
      endS: at(talk.endedAt),
      who: list([...new Set(talk.parties.map((one) => nameOf(one.party)))]),
    })),
    nameOf,
    at,
  };
}

/** Two legs of one person are told apart by what follows the dash of the channel's name. */
function named(parties) {
  const labels = parties.map((party) => person(party));
  return parties.map((party, n) => {
    const twice = labels.filter((one) => one === labels[n]).length > 1;
    return { ...party, label: twice ? `${labels[n]}, ${party.channel}` : labels[n] };
  });
}

function lanesOf(timeline, at) {
  /** @type {Map<string, Lane>} */
  const lanes = new Map();
  const laneOf = (ruleId, recordId, ruleName) => {
    const key = `${ruleId}/${recordId}`;
    if (!lanes.has(key)) lanes.set(key, { key, ruleId, recordId, name: ruleLabel(ruleId, ruleName), tracks: [], gaps: [] });
    return lanes.get(key);
  };
  for (const section of timeline.sections) {
    const startS = section.offsetS;
    const endS = section.durationS === null ? Math.max(startS, at(section.endedAt ?? section.startedAt)) : startS + section.durationS;
    const path = `/api/v1/records/${section.recordId}/${section.ruleId}/${section.file}`;
    const playable = section.playable && section.durationS > 0;
    laneOf(section.ruleId, section.recordId, section.ruleName).tracks.push({ section, startS, endS, playable, path });
  }
  for (const gap of timeline.gaps) {
    // Of joined calls a rule has several records: what it did not record stands with the first.
    const lane = [...lanes.values()].find((one) => one.ruleId === gap.ruleId) ?? laneOf(gap.ruleId, "", "");
    lane.gaps.push({ ...gap, startS: at(gap.startedAt), endS: at(gap.endedAt) });
  }
  const all = [...lanes.values()];
  for (const lane of all) {
    lane.tracks.sort((a, b) => a.startS - b.startS);
    const same = all.filter((one) => one.ruleId === lane.ruleId);
    if (same.length > 1) lane.name += `, record ${same.indexOf(lane) + 1} of ${same.length}`;
  }
  return all.sort((a, b) => Number(hasAudio(b)) - Number(hasAudio(a)));
}

const ruleLabel = (ruleId, name) => (ruleId === null ? "no rule" : name ? `${name} (rule ${ruleId})` : `rule ${ruleId}`);

/** Whether there is anything to play. @param {Lane} lane */
export const hasAudio = (lane) => lane.tracks.some((track) => track.playable);

/**
 * Where a lane can be played at or after a moment.
 * @param {Lane} lane
 * @param {number} atS
 * @returns {{track: Track, offsetS: number}|null} null behind the last recorded second
 */
export function placeAt(lane, atS) {
  for (const track of lane.tracks) {
    if (track.playable && atS < track.endS) return { track, offsetS: Math.max(0, atS - track.startS) };
  }
  return null;
}

/**
 * `a`, `a and b`, `a, b and c`.
 * @param {string[]} words
 * @returns {string}
 */
export function list(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
