/**
 * Health: is the daemon fit for its work, and if not, what to do about it.
 * @module
 */
import { get } from "../api.js";
import { badge, card, errorBox, facts, heading } from "../components.js";
import { h, replace } from "../dom.js";
import { ago, bytes, counted, longDuration, moment, number, percent, PROBLEMS, stateOf } from "../format.js";
import { icon } from "../icons.js";
import { poll } from "../poll.js";

export const title = "Health";

const EVERY_MS = 5000;

const QUEUES = {
  asterisk: "events from Asterisk",
  inbox: "events to decide about",
  database: "changes to write",
};

const ASTERISK = {
  connected: ["connected", "connected"],
  connecting: ["pending", "connecting"],
  unreachable: ["unreachable", "not connected"],
  "login-refused": ["failed", "login refused"],
  "rights-missing": ["failed", "rights missing"],
  closed: ["disabled", "closed"],
};

/**
 * @param {HTMLElement} place
 * @param {import("../app.js").Context} context
 */
export async function show(place, { session, signal }) {
  const admin = session.role === "admin";
  const content = h("div", { class: "stack" });
  const overall = h("div", { role: "status" });
  replace(place, heading(title, h("span", { class: "minor small" }, "looked at every 5 s")), h("div", { class: "stack" }, overall, content));

  let drawn = "";
  const look = poll(
    async () => {
      // /ready says to those who are no admins codes alone; its 503 is what it says, and no error.
      const state = admin ? await get("/api/v1/status", null, { signal }) : await get("/ready", null, { signal, answers: [503] }).then(codesAlone);
      const verdict = JSON.stringify([state.ready, state.reasons, state.warnings]);
      if (verdict !== drawn) replace(overall, verdictOf(state, admin));
      drawn = verdict;
      replace(content, admin ? cards(state) : null);
    },
    {
      everyMs: EVERY_MS,
      signal,
      onError: (error) => {
        if (drawn !== error.message) replace(overall, errorBox(error));
        drawn = error.message;
        replace(content);
      },
    },
  );
  await look();
}

function codesAlone({ ready, reasons, warnings }) {
  const named = (codes) => (codes ?? []).map((code) => ({ code, message: "" }));
  return { ready, reasons: named(reasons), warnings: named(warnings) };
}

function verdictOf({ ready, reasons, warnings }, admin) {
  const list = (found, tone) =>
    found.map(({ code, message }) =>
      h(
        "li",
        { class: ["notice", `tone-${tone}`, "system-problem"] },
        icon("warning"),
        h("div", {}, h("strong", {}, PROBLEMS[code] ?? code), message && h("p", {}, message)),
      ),
    );
  return [
    h(
      "p",
      { class: ["notice", ready ? "tone-good" : "tone-bad", "system-verdict"] },
      icon(ready ? "check" : "warning"),
      ready ? "Recordings are made as they should be." : "Recordings cannot be made as they should.",
    ),
    reasons.length + warnings.length > 0 && h("ul", { class: "system-problems" }, list(reasons, "bad"), list(warnings, "paused")),
    !admin && reasons.length + warnings.length > 0 && h("p", { class: "minor" }, "An admin is told here what to do about it."),
  ];
}

function cards(state) {
  const { asterisk, spool, database, callbacks, work, housekeeping } = state;
  const [asteriskState, asteriskWord] = ASTERISK[asterisk.state] ?? ["unknown", asterisk.state];
  const sections = Object.entries(state.sections);
  return h(
    "div",
    { class: "grid" },
    card(
      "recbridge",
      facts([
        ["PBX", state.systemname || "–"],
        ["Version", state.version],
        ["Up since", [moment(state.startedAt), h("span", { class: "minor" }, ` (${longDuration((state.now - state.startedAt) / 1000)})`)]],
        ["Rules in force", number(state.rules)],
        ["Live streams", number(state.streams)],
      ]),
    ),
    card(
      "Asterisk",
      facts([
        ["Manager interface", badge(asteriskState, asteriskWord)],
        ["Version", asterisk.version || "not known yet"],
        ["Newest event came after", `${number(Math.max(0, asterisk.lagS))} s`],
      ]),
    ),
    card(
      "Now",
      facts([
        ["Calls", number(state.calls)],
        ["Talks", number(state.talks)],
        ...sections.map(([name, count]) => [`Sections: ${stateOf(name).word}`, number(count)]),
        sections.length === 0 && ["Sections", "none runs"],
      ]),
    ),
    card(
      "Queues",
      facts(state.queues.map(({ name, waiting, bound }) => [QUEUES[name] ?? name, bound ? `${number(waiting)} of at most ${number(bound)}` : number(waiting)])),
    ),
    card("Spool", spool === null ? h("p", { class: "minor" }, "Its room is not known.") : spoolRoom(spool)),
    card(
      "Database",
      facts([
        ["Commits since the start", number(database.commits)],
        ["Failed", bad(database.failures)],
        ["Changes lost", bad(database.lost)],
        ["Waits in the intents file", bytes(database.intentsBytes)],
      ]),
    ),
    card(
      "Callbacks",
      facts([
        ["Enabled", number(callbacks.enabled)],
        callbacks.disabled > 0 && ["Disabled", number(callbacks.disabled)],
        ["Deliveries that wait", number(callbacks.waiting)],
        ["Delivered since the start", number(callbacks.delivered)],
        ["Failed attempts", number(callbacks.failed)],
        ["Given up", bad(callbacks.givenUp)],
        callbacks.behind > 0 && ["The slowest is behind by", counted(callbacks.behind, "fact")],
      ]),
    ),
    card(
      "Exports and mails",
      facts([
        ["Exports that wait", number(work.exports)],
        work.exports > 0 && ["The oldest for", longDuration(work.oldestExportS)],
        ["Mails that wait", number(work.mails)],
        ["Mails given up", bad(work.mailsGivenUp)],
      ]),
    ),
    card(
      "Retention",
      facts([
        ["Last done", housekeeping.doneAt === null ? "not since the start" : h("span", { title: moment(housekeeping.doneAt) }, ago(housekeeping.doneAt, state.now))],
        ["Recordings deleted since the start", number(housekeeping.deletedSections)],
        ["Calls deleted", number(housekeeping.deletedCalls)],
        ["Room won", bytes(housekeeping.deletedBytes)],
        ["Failures", bad(housekeeping.failures)],
      ]),
    ),
  );
}

/** A number that should be 0: where it is not, it is marked by more than its colour. */
const bad = (count) => (count > 0 ? badge("failed", number(count)) : "0");

function spoolRoom({ freeBytes, totalBytes, lowBytes }) {
  const low = lowBytes !== null && freeBytes < lowBytes;
  const used = totalBytes - freeBytes;
  return [
    h("meter", {
      class: "system-meter",
      min: "0",
      max: String(totalBytes),
      value: String(used),
      high: lowBytes === null ? null : String(Math.max(0, totalBytes - lowBytes)),
      "aria-label": "Room that is taken",
    }),
    facts([
      ["Free", [bytes(freeBytes), h("span", { class: "minor" }, ` of ${bytes(totalBytes)} (${percent(freeBytes, totalBytes)})`)]],
      lowBytes !== null && ["Warned of below", bytes(lowBytes)],
      low && ["", badge("warning", "little room is left")],
    ]),
  ];
}
