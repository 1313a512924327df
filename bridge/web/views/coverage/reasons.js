/**
 * The reasons of coverage in four groups: what was recorded, what nobody wanted, what the edges take, what is missing.
 * @module
 */
import { reason } from "../../format.js";

/** What should not be: somebody has to look (`bridge.core.accounts.FAULTS`). */
export const FAULTS = new Set(["failed", "lost", "asterisk-away", "recbridge-away", "unknown"]);

const EDGES = new Set(["starting", "ending", "unchecked"]);

/** In the order in which they are stacked. */
export const GROUPS = [
  { name: "recorded", word: "Recorded" },
  { name: "edges", word: "Beginnings, ends, not yet checked" },
  { name: "left", word: "Not to be recorded" },
  { name: "missing", word: "Missing" },
];

/**
 * @param {string} one the reason's code
 * @returns {string} in words
 */
export const reasonWord = (one) => reason(one) || one;

/**
 * Seconds by group.
 * @param {{recordedS: number, reasons: Object<string, number>}} sums
 * @returns {{recorded: number, edges: number, left: number, missing: number}}
 */
export function groupsOf(sums) {
  const groups = { recorded: sums.recordedS, edges: 0, left: 0, missing: 0 };
  for (const [one, seconds] of Object.entries(sums.reasons)) {
    if (FAULTS.has(one)) groups.missing += seconds;
    else if (EDGES.has(one)) groups.edges += seconds;
    else groups.left += seconds;
  }
  return groups;
}
