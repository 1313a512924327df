/**
 * Exports: those that there are, with their progress, and new ones out of what a search in Calls finds.
 * @module
 */
import { del, get } from "../api.js";
import { badge, button, confirm, empty, errorBox, heading, linkButton, loading, staleNotice, toast } from "../components.js";
import { h, keyed, replace, setText } from "../dom.js";
import { ago, bytes, counted, moment, number, percent, shortMoment, stateOf, time } from "../format.js";
import { poll } from "../poll.js";
import { newExport } from "./exports/new.js";

/** @typedef {import("../app.js").Context} Context */

export const title = "Exports";

const BUSY_MS = 1000;
const IDLE_MS = 10_000;
const PAGE = 100;
const MOST = 1000;

/** Why an export has failed or is deleted, by its code. */
const REASONS = {
  cancelled: "it was cancelled or deleted",
  expired: "its time is over",
  "recording-deleted": "a recording in it was deleted",
  "file-missing": "its zip is missing",
  "no-space": "there is no room for it on the disk",
  "disk-error": "the disk could not be written",
  timeout: "a disk did not answer in time",
  fault: "of a fault in recbridge: its log says more",
};

const underWay = (one) => one.status === "pending" || one.status === "processing";

/**
 * @param {HTMLElement} place
 * @param {Context} context
 */
export async function show(place, context) {
  const { params, session, signal } = context;
  const head = heading(title, linkButton("New export", "/exports?new=", { icon: "plus", kind: "primary" }));
  const form = h("div", {});
  const list = h("div", {}, loading());
  const said = h("p", { class: "unseen", role: "status" });
  const stale = staleNotice();
  replace(place, head, form, stale.element, list, said);
  if (params.has("new")) form.append(newExport(context));

  const items = h("ul", { class: "exports", "aria-label": title });
  const states = new Map();
  let limit = PAGE;
  const older = button("Show older ones", {
    onclick: () => {
      limit = Math.min(limit + PAGE, MOST);
      return read();
    },
  });
  const more = h("p", { class: "more" }, older);

  const draw = (exports) => {
    if (exports.length === 0) {
      const how = h("p", {}, h("a", { href: "/calls?recorded=true" }, "Search in Calls"), " for the recordings, and export what is found.");
      replace(list, empty("There are no exports.", how));
      return;
    }
    if (!items.isConnected) replace(list, items, more);
    more.hidden = exports.length < limit || limit === MOST;
    keyed(items, exports, (one) => one.id, (one) => made(one, session, read), update);
    for (const one of exports) {
      const before = states.get(one.id);
      if (before && before !== one.status) setText(said, `Export of ${asked(one)}: ${wordOf(one)}`);
      states.set(one.id, one.status);
    }
    const named = params.get("id");
    for (const element of items.children) element.classList.toggle("named", element.dataset.key === named);
  };

  const read = poll(
    async () => {
      const { items: exports } = await get("/api/v1/exports", { limit }, { signal });
      stale.show(null);
      draw(exports);
      return exports.some(underWay) ? BUSY_MS : IDLE_MS;
    },
    { everyMs: IDLE_MS, signal, onError: (error) => (items.isConnected ? stale.show(error) : replace(list, errorBox(error, { again: read }))) },
  );
  await read();
}

const asked = (one) => shortMoment(one.askedAt);

const wordOf = (one) => (one.status === "error" ? `failed: ${why(one)}` : stateOf(one.status).word);

const why = (one) => REASONS[one.reason] ?? one.reason ?? "";

/** The element of an export; `update` fills it. */
function made(one, session, read) {
  const bar = h("progress", { max: "1", "aria-label": "How far it is" });
  const actions = h("div", { class: "row export-actions" });
  const element = h(
    "li",
    { class: "card export" },
    h(
      "div",
      { class: "export-head" },
      h("strong", {}, counted(one.recordings, "recording")),
      h("span", { class: "minor" }, `of ${counted(one.calls, "call")}`),
      h("span", { class: "export-state" }),
    ),
    h("p", { class: "minor export-asked" }, `asked for ${moment(one.askedAt)}`, session.role === "admin" && one.owner && ` by ${one.owner}`),
    h("div", { class: "export-progress" }, bar, h("span", { class: "minor tabular" })),
    h("p", { class: "export-more" }),
    actions,
  );
  element.draw = (now) => {
    const state = element.querySelector(".export-state");
    if (state.dataset.status !== now.status) {
      state.dataset.status = now.status;
      replace(state, badge(now.status));
      replace(actions, actionsOf(now, read));
    }
    const progress = element.querySelector(".export-progress");
    progress.hidden = !underWay(now);
    if (underWay(now)) {
      const share = shareOf(now);
      bar.value = share;
      setText(progress.lastElementChild, progressWords(now, share));
    }
    setText(element.querySelector(".export-more"), moreWords(now));
  };
  return element;
}

function update(element, one) {
  element.draw(one);
}

function shareOf(one) {
  if (one.status !== "processing") return 0;
  if (one.wantedBytes > 0) return Math.min(1, one.doneBytes / one.wantedBytes);
  return one.recordings ? one.done / one.recordings : 0;
}

function progressWords(one, share) {
  if (one.status === "pending") return "waits for its turn";
  const parts = [
    percent(share, 1),
    `${number(one.done)} of ${counted(one.recordings, "recording")}`,
    one.wantedBytes > 0 && `${bytes(one.doneBytes)} of ${bytes(one.wantedBytes)}`,
    one.endsAt !== null && `done at about ${time(one.endsAt)}`,
  ];
  return parts.filter((part) => part && part !== "–").join(" · ");
}

function moreWords(one) {
  const missing = one.missing ? `${counted(one.missing, "recording is", "recordings are")} missing: its manifest says which. ` : "";
  if (one.status === "finished") return `${missing}${bytes(one.sizeBytes)}, is deleted ${ago(one.expiresAt)} (${shortMoment(one.expiresAt)}).`;
  if (one.status === "error") return `It could not be made: ${why(one)}.`;
  if (one.status === "deleted") return `It is not there any more: ${why(one)}.`;
  return missing;
}

function actionsOf(one, read) {
  const path = `/api/v1/exports/${encodeURIComponent(one.id)}`;
  if (underWay(one)) {
    const cancel = async () => {
      await del(path);
      toast("The export is cancelled.");
      await read();
    };
    return [button("Cancel", { icon: "close", onclick: cancel, small: true, title: `Cancel the export of ${asked(one)}` })];
  }
  if (one.status !== "finished") return [];
  const remove = async () => {
    const question = `The zip of ${counted(one.recordings, "recording")} goes; the recordings themselves stay.`;
    if (!(await confirm(question, { title: "Delete this export?", yes: "Delete", danger: true }))) return;
    await del(path);
    await read();
  };
  return [
    linkButton("Download", `${path}/download`, { icon: "download", kind: "primary", download: one.fileName, small: true }),
    button("Delete", { icon: "trash", kind: "danger", onclick: remove, small: true, title: `Delete the export of ${asked(one)}` }),
  ];
}
