/**
 * Asking the daemon: JSON in and out. The session's cookie goes along by itself.
 * @module
 */

/** What went wrong with a request, in the API's words. */
export class ApiError extends Error {
  /**
   * @param {number} status HTTP's; 0 where there was no answer at all
   * @param {string} errorId the API's stable code, `no-such-channel`; `unreachable` where there was no answer
   * @param {string} message for people
   * @param {Object<string, any>} [details] of `invalid-request` what is wrong with each field, by its name
   */
  constructor(status, errorId, message, details = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.errorId = errorId;
    this.details = details;
  }
}

/**
 * @typedef {Object} Options
 * @property {AbortSignal} [signal]
 * @property {boolean} [signIn] false: a 401 is thrown alone, and does not lead to the sign-in page
 * @property {number[]} [answers] statuses beside 2xx whose JSON is an answer too, and no error
 */

/**
 * A path with its query. Empty text, null and undefined are left out; an array is joined by commas.
 * @param {string} path
 * @param {Object<string, any>|URLSearchParams} [query]
 * @returns {string}
 */
export function url(path, query) {
  const params = query instanceof URLSearchParams ? query : new URLSearchParams();
  if (query && params !== query) {
    for (const [name, value] of Object.entries(query)) {
      const text = Array.isArray(value) ? value.join(",") : value;
      if (text !== null && text !== undefined && text !== "") params.set(name, String(text));
    }
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * GET.
 * @param {string} path `/api/v1/calls`
 * @param {Object<string, any>|URLSearchParams} [query]
 * @param {Options} [options]
 * @returns {Promise<any>} the answer's JSON
 * @throws {ApiError}
 */
export function get(path, query, options = {}) {
  return request("GET", url(path, query), undefined, options);
}

/**
 * POST.
 * @param {string} path
 * @param {any} [body] becomes JSON
 * @param {Options} [options]
 * @returns {Promise<any>} the answer's JSON, null where it has no body
 * @throws {ApiError}
 */
export function post(path, body, options = {}) {
  return request("POST", path, body, options);
}

/**
 * PATCH.
 * @param {string} path
 * @param {any} body becomes JSON
 * @param {Options} [options]
 * @returns {Promise<any>}
 * @throws {ApiError}
 */
export function patch(path, body, options = {}) {
  return request("PATCH", path, body, options);
}

/**
 * DELETE.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>}
 * @throws {ApiError}
 */
export function del(path, options = {}) {
  return request("DELETE", path, undefined, options);
}

/**
 * Whether an error only says that the view was left meanwhile: nobody needs to hear of it.
 * @param {any} error
 * @returns {boolean}
 */
export function aborted(error) {
  return error?.name === "AbortError";
}

/** Dispatched on `window` when the session is over; app.js leads to the sign-in page. */
export const SIGNED_OUT = "recbridge-signed-out";

/**
 * For what is asked anew while an older answer may be under way: each call gives up what the one before asked for.
 * @param {AbortSignal} signal ends all of them: the view's `context.signal`
 * @returns {() => AbortSignal}
 */
export function newest(signal) {
  let mine = new AbortController();
  return () => {
    mine.abort();
    mine = new AbortController();
    return AbortSignal.any([signal, mine.signal]);
  };
}

/** So long a reading may take: a year of a big PBX is added up in less, a network that is gone never answers. */
const PATIENCE_MS = 90_000;
const OFF_MS = 3000;
let offMs = 0;

/**
 * The daemon's time: the viewer's clock, unless that is wrong by more than a few seconds.
 * @returns {number} epoch milliseconds
 */
export const serverNow = () => Date.now() + offMs;

/** @param {Response} response */
function readClock(response) {
  const off = Date.parse(response.headers.get("Date") ?? "") - Date.now();
  // It says whole seconds, and came some time later: small differences are none.
  if (Math.abs(off - offMs) > OFF_MS) offMs = Math.abs(off) > OFF_MS ? off : 0;
}

/**
 * @param {string} method
 * @param {string} path with its query
 * @param {any} body
 * @param {Options} options
 */
async function request(method, path, body, { signal, signIn = true, answers = [] }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const patience = method === "GET" ? AbortSignal.timeout(PATIENCE_MS) : null;
  const signals = [signal, patience].filter((one) => one != null);
  let response, text;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signals.length > 0 ? AbortSignal.any(signals) : undefined,
      credentials: "same-origin",
    });
    readClock(response);
    text = await response.text(); // it may break off in the middle
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (patience?.aborted) throw new ApiError(0, "unreachable", "recbridge does not answer");
    throw new ApiError(0, "unreachable", "recbridge cannot be reached");
  }
  const json = parsed(text);
  const { status, statusText } = response;
  if ((response.ok && (json !== undefined || !text)) || (answers.includes(status) && json)) return json ?? null;
  if (status === 401 && signIn) window.dispatchEvent(new Event(SIGNED_OUT));
  throw new ApiError(
    status,
    json?.error_id ?? "unexpected-answer",
    json?.message ?? `unexpected answer: ${status} ${statusText}`.trim(),
    json?.details ?? {},
  );
}

/** @param {string} text @returns {any} undefined where it is no JSON: of a proxy, or the half of an answer */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
