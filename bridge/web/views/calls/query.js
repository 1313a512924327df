/**
 * What the view Calls is asked: its address, and what the API is asked for it. The address is the whole state.
 * @module
 */
import { serverNow } from "../../api.js";

/** What narrows a list; the same names in the address and in the API. */
export const FILTERS = ["search", "number", "name", "user", "queue", "direction", "status", "tag", "recorded", "minS", "maxS"];
/** Stretches of time by name; without any it is the first. @type {Array<[string, string]>} */
export const PERIODS = [
  ["30d", "last 30 days"],
  ["today", "today"],
  ["yesterday", "yesterday"],
  ["7d", "last 7 days"],
  ["month", "this month"],
  ["year", "this year"],
  ["all", "all time"],
];
const DEFAULT = PERIODS[0][0];
const DAYS = { "30d": 30, "7d": 7 };

/** @param {Date} at @param {number} [days] @returns {Date} midnight of that day, or of one so many days later */
export const midnight = (at, days = 0) => new Date(at.getFullYear(), at.getMonth(), at.getDate() + days);

/**
 * Which period the address names; "" where it has times of its own.
 * @param {URLSearchParams} params
 * @returns {string}
 */
export function periodOf(params) {
  if (params.has("from") || params.has("until")) return "";
  const period = params.get("period");
  return PERIODS.some(([name]) => name === period) ? period : DEFAULT;
}

/**
 * From when until when, in epoch milliseconds; null is no bound.
 * @param {URLSearchParams} params
 * @param {Date} [now]
 * @returns {{from: number|null, until: number|null}}
 */
export function timesOf(params, now = new Date(serverNow())) {
  const period = periodOf(params);
  const from = (at) => ({ from: at.getTime(), until: null });
  if (period === "") return { from: time(params.get("from")), until: time(params.get("until")) };
  if (period === "all") return { from: null, until: null };
  if (period === "yesterday") return { from: midnight(now, -1).getTime(), until: midnight(now).getTime() };
  if (period === "month") return from(new Date(now.getFullYear(), now.getMonth(), 1));
  if (period === "year") return from(new Date(now.getFullYear(), 0, 1));
  return from(midnight(now, -(DAYS[period] ?? 0)));
}

function time(text) {
  const at = /^\d+$/.test(text ?? "") ? Number(text) : Date.parse(text ?? "");
  return Number.isNaN(at) ? null : at;
}

/**
 * The filters that the address has, without times.
 * @param {URLSearchParams} params
 * @returns {Object<string, string>}
 */
export function filtersOf(params) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const name of FILTERS) if (params.get(name)) found[name] = params.get(name) ?? "";
  return found;
}

/**
 * What the API is asked for: filters and times.
 * @param {URLSearchParams} params
 * @returns {Object<string, any>}
 */
export const queryOf = (params) => ({ ...filtersOf(params), ...timesOf(params) });

/**
 * Whether the address asks for anything beside the default.
 * @param {URLSearchParams} params
 */
export const isNarrowed = (params) => Object.keys(filtersOf(params)).length > 0 || periodOf(params) !== DEFAULT;
