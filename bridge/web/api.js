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

/** @typedef {{signal?: AbortSignal, query?: Object<string, any>|URLSearchParams, signIn?: boolean}} Options
 *   `signIn` false: a 401 is thrown alone, and does not lead to the sign-in page */

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
  return request("GET", path, undefined, { ...options, query });
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

const OFF_MS = 3000;
let offMs = 0;

/**
 * The daemon's time: the viewer's clock, unless that is wrong by more than a few seconds.
 * @returns {number} epoch milliseconds
 */
export const serverNow = () => Date.now() + offMs;

function readClock(response) {
  const off = Date.parse(response.headers.get("Date") ?? "") - Date.now();
  if (!Number.isNaN(off)) offMs = Math.abs(off) > OFF_MS ? off : 0;
}

async function request(method, path, body, { signal, query, signIn = true } = {}) {
  const init = { method, signal, headers: { Accept: "application/json" }, credentials: "same-origin" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(url(path, query), init);
  } catch (error) {
    if (aborted(error)) throw error;
    throw new ApiError(0, "unreachable", "recbridge cannot be reached");
  }
  readClock(response);
  const text = await response.text();
  const json = parsed(text);
  if (response.ok) return json;
  if (response.status === 401 && signIn) window.dispatchEvent(new Event(SIGNED_OUT));
  throw new ApiError(
    response.status,
    json?.error_id ?? "unexpected-answer",
    json?.message ?? `unexpected answer: ${response.status} ${response.statusText}`,
    json?.details ?? {},
  );
}

function parsed(text) {
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
