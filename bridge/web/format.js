/**
 * Times, lengths, sizes, and the words for states and reasons: the same in every view.
 * @module
 */

import { serverNow } from "./api.js";

/** Words are English as all here; the order of a date and the hours as English has them nearest to the viewer. */
export const LOCALE = localeOf(navigator.language);

/** @param {string} language the browser's: `de`, `ar-SA` */
function localeOf(language) {
  try {
    const { region } = new Intl.Locale(language).maximize();
    const english = `en-${region}`;
    // A browser may know English as it is written in a few countries alone, and takes that of the US elsewhere.
    const known = new Intl.DateTimeFormat(english).resolvedOptions().locale === english;
    return `${known ? english : "en-GB"}-u-ca-gregory-nu-latn`;
  } catch {
    return "en-GB";
  }
}

const dateTime = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "medium" });
const dateOnly = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium" });
const timeOnly = new Intl.DateTimeFormat(LOCALE, { timeStyle: "medium" });
const shortTime = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" });
const dayAndTime = new Intl.DateTimeFormat(LOCALE, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const plain = new Intl.NumberFormat(LOCALE);
const relative = new Intl.RelativeTimeFormat(LOCALE);

/** The viewer's time zone, `Europe/Berlin`: what `zone=` of the API wants. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** What stands where there is nothing. */
export const NOTHING = "–";

/**
 * A moment: day and time to the second, in the viewer's zone.
 * @param {number|null|undefined} ms epoch milliseconds
 * @returns {string}
 */
export const moment = (ms) => (ms == null ? NOTHING : dateTime.format(ms));

/**
 * A moment in a list: the time alone where it is of today, else day and time.
 * @param {number|null|undefined} ms epoch milliseconds
 * @returns {string}
 */
export function shortMoment(ms) {
  if (ms == null) return NOTHING;
  const at = new Date(ms);
  const today = new Date();
  if (at.toDateString() === today.toDateString()) return timeOnly.format(at);
  return at.getFullYear() === today.getFullYear() ? dayAndTime.format(at) : `${dateOnly.format(at)}, ${shortTime.format(at)}`;
}

/** @param {number|null|undefined} ms epoch milliseconds @returns {string} the day */
export const day = (ms) => (ms == null ? NOTHING : dateOnly.format(ms));

/** @param {number|null|undefined} ms epoch milliseconds @returns {string} the time to the second */
export const time = (ms) => (ms == null ? NOTHING : timeOnly.format(ms));

/**
 * How long ago, or in how long: `5 minutes ago`.
 * @param {number|null|undefined} ms epoch milliseconds
 * @param {number} [now] epoch milliseconds; the daemon's clock, unless it is given
 * @returns {string}
 */
export function ago(ms, now = serverNow()) {
  if (ms == null) return NOTHING;
  const s = (ms - now) / 1000;
  /** @type {Array<[Intl.RelativeTimeFormatUnit, number]>} */
  const steps = [["day", 86400], ["hour", 3600], ["minute", 60]];
  for (const [unit, size] of steps) if (Math.abs(s) >= size) return relative.format(Math.round(s / size), unit);
  return Math.abs(s) < 1 ? "now" : relative.format(Math.round(s), "second");
}

/**
 * A length: `0:07`, `1:05`, `1:02:03`.
 * @param {number|null|undefined} s seconds
 * @returns {string}
 */
export function duration(s) {
  if (s == null) return NOTHING;
  const whole = Math.max(0, Math.floor(s));
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/**
 * A length in words, for sums and screen readers: `1 h 5 min`, `12 s`.
 * @param {number|null|undefined} s seconds
 * @returns {string}
 */
export function longDuration(s) {
  if (s == null) return NOTHING;
  if (s > 0 && s < 1) return "under 1 s";
  const whole = Math.max(0, Math.round(s));
  if (whole < 60) return `${whole} s`;
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days) return `${plain.format(days)} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
}

/** @param {number|null|undefined} n @returns {string} with the viewer's separators: `12,345` */
export const number = (n) => (n == null ? NOTHING : plain.format(n));

/**
 * A share: `98.4 %`; never 100 % where anything is missing, nor 0 % where there is something.
 * @param {number} part
 * @param {number} whole
 * @returns {string}
 */
export function percent(part, whole) {
  if (!whole) return NOTHING;
  let share = Math.round((part / whole) * 1000) / 10;
  if (share >= 100 && part < whole) share = 99.9;
  if (share <= 0 && part > 0) share = 0.1;
  return `${plain.format(share)}\u00a0%`;
}

/**
 * A size: `1.2 MB`.
 * @param {number|null|undefined} n bytes
 * @returns {string}
 */
export function bytes(n) {
  if (n == null) return NOTHING;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let size = n;
  while (size >= 999.5 && at < units.length - 1) {
    size /= 1000;
    at += 1;
  }
  const shown = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: at === 0 || size >= 100 ? 0 : 1 }).format(size);
  return `${shown} ${units[at]}`;
}

/**
 * `1 call`, `3 calls`.
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 * @returns {string}
 */
export const counted = (n, one, many = `${one}s`) => `${plain.format(n)} ${n === 1 ? one : many}`;

/** A text that is written from right to left keeps its place, and does not turn what stands around it. */
const apart = (text) => (/[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(text) ? `\u2068${text}\u2069` : text);

/**
 * Somebody on a call, in one line: `Alice (822)`, `+49 30 123`, `unknown number`.
 * @param {{name?: string, number?: string, identity?: string}|null|undefined} who
 * @returns {string}
 */
export function person(who) {
  const name = apart(who?.name || who?.identity || "");
  const digits = apart(who?.number || "");
  if (name && digits && name !== digits) return `${name} (${digits})`;
  return name || digits || "unknown number";
}

/**
 * The word, colour and icon of each state. `tone` is one of style.css: recording, good, pending, paused, bad, quiet.
 * @type {Object<string, {word: string, tone: string, icon?: import("./icons.js").IconName}>}
 */
export const STATES = {
  // What a rule does in a running call, and a section's states.
  recording: { word: "recording", tone: "recording", icon: "record" },
  paused: { word: "paused", tone: "paused", icon: "pause" },
  offered: { word: "offered", tone: "pending", icon: "play" },
  matched: { word: "starting", tone: "pending", icon: "clock" },
  requested: { word: "starting", tone: "pending", icon: "clock" },
  stopping: { word: "stopping", tone: "pending", icon: "clock" },
  closed: { word: "being checked", tone: "pending", icon: "clock" },
  stored: { word: "stored", tone: "good", icon: "check" },
  blocked: { word: "blocked", tone: "quiet", icon: "close" },
  failed: { word: "failed", tone: "bad", icon: "warning" },
  lost: { word: "lost", tone: "bad", icon: "warning" },
  unmatched: { word: "does not match", tone: "quiet" },
  deleted: { word: "deleted", tone: "quiet", icon: "trash" },
  "not-recorded": { word: "not recorded", tone: "quiet" },
  recorded: { word: "recorded", tone: "good", icon: "check" },
  // Exports and callbacks.
  pending: { word: "waiting", tone: "pending", icon: "clock" },
  processing: { word: "being made", tone: "pending", icon: "clock" },
  finished: { word: "finished", tone: "good", icon: "check" },
  canceled: { word: "cancelled", tone: "quiet", icon: "close" },
  error: { word: "failed", tone: "bad", icon: "warning" },
  delivered: { word: "delivered", tone: "good", icon: "check" },
  enabled: { word: "enabled", tone: "good", icon: "check" },
  disabled: { word: "disabled", tone: "quiet", icon: "close" },
  // Calls.
  answered: { word: "answered", tone: "good" },
  voicemail: { word: "voicemail", tone: "quiet" },
  unknown: { word: "not answered", tone: "quiet" },
  // The daemon.
  ok: { word: "in order", tone: "good", icon: "check" },
  warning: { word: "warning", tone: "paused", icon: "warning" },
  connected: { word: "connected", tone: "good", icon: "check" },
  unreachable: { word: "not connected", tone: "bad", icon: "warning" },
};

/**
 * The word, colour and icon of a state; of one that is not in the table the state itself.
 * @param {string} state
 * @returns {{word: string, tone: string, icon?: import("./icons.js").IconName}}
 */
export const stateOf = (state) => STATES[state] ?? { word: state, tone: "quiet" };

/** Which way a call goes. @type {Object<string, string>} */
export const DIRECTIONS = { inbound: "inbound", outbound: "outbound", internal: "internal" };

/** @type {Object<string, string>} why something is not recorded, by the reason's first word */
const REASONS = {
  "no-talk": "nobody talks yet",
  "no-rule": "no rule matches",
  "not-matched": "the rule matches another talk of this call",
  never: "a rule forbids it",
  variable: "the dialplan's RECBRIDGE forbids it",
  "on-demand": "it is on demand, and nobody has started it",
  paused: "it is paused",
  consultation: "it is the talk before a transfer, which the rule leaves out",
  follow: "the user whom the rule follows is not in this talk",
  starting: "Asterisk had not begun yet",
  ending: "the last moments",
  unchecked: "its file is not looked into yet",
  failed: "the recording failed",
  lost: "the recording was lost",
  "asterisk-away": "there was no connection to Asterisk",
  "recbridge-away": "recbridge did not run",
  unknown: "nobody knows why",
  matched: "it is about to begin",
};

/**
 * Why something is not recorded, in words: `no rule matches: nearest is rule 3, queue is none, not support`.
 * @param {string|null|undefined} reason the API's: a stable first word, and more about it
 * @returns {string}
 */
export function reason(reason) {
  if (!reason) return "";
  const [, first, rest] = /^([a-z-]+),?\s*(.*)$/s.exec(reason) ?? [null, "", reason];
  const words = REASONS[first];
  if (!words) return reason;
  if (/^by /.test(rest)) return `${words} (${rest.slice(3)})`;
  const more = rest.replace(/^\((.*)\)$/s, "$1");
  return more ? `${words}: ${more}` : words;
}

/** Why a command was refused, by the API's `error_id`. Where there is none here, the API's message says it. */
export const ERRORS = {
  "no-such-channel": "That channel is not there any more.",
  "not-in-talk": "Nobody talks on that channel at the moment.",
  "not-confirmed": "Asterisk has not confirmed it in time. Look whether it happened.",
  "too-many-commands": "Too much is asked at once. Try again in a moment.",
  unreachable: "recbridge cannot be reached. Is it running, and is there a network?",
  "store-error": "The database cannot be asked at the moment.",
};

/** What the codes of /ready and of warnings are called. @type {Object<string, string>} */
export const PROBLEMS = {
  "asterisk-unreachable": "Asterisk cannot be reached",
  "asterisk-login-refused": "Asterisk refuses the manager account",
  "asterisk-rights-missing": "The manager account lacks rights",
  "spool-missing": "The spool folder is missing",
  "spool-not-writable": "The spool cannot be written",
  "spool-not-shared": "Asterisk and recbridge do not see the same spool",
  "rules-refused": "The rule files have errors",
  "database-not-written": "The database cannot be written",
  "changes-lost": "Changes could not be kept",
  "retention-refused": "Retention was held back",
  "mail-not-taken": "Mails are not taken",
  "webhook-disabled": "A callback is disabled",
};
