/**
 * A finished call: what happened in it, and its recordings to be heard.
 * @module
 */
import { ApiError, get } from "../api.js";
import { card, errorBox } from "../components.js";
import { h, replace } from "../dom.js";
import { person } from "../format.js";
import { head, holds, listeners, notes, recordings, story, tags } from "./call/about.js";
import { hasAudio, modelOf, placeAt } from "./call/model.js";
import { player } from "./call/player.js";
import { timeline } from "./call/timeline.js";
import { happened } from "./call/words.js";

export { KEYS } from "./call/player.js";
export const title = "Call";

/** After a play has begun its fact is there at once; this is for the answer to come. */
const LISTENED_AFTER_MS = 1500;

/**
 * @param {HTMLElement} place
 * @param {import("../app.js").Context} context
 */
export async function show(place, context) {
  const { params, session, signal } = context;
  const path = `/api/v1/cdrs/${encodeURIComponent(context.path.join("/"))}`;
  let call;
  try {
    call = await get(path, null, { signal });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    replace(place, errorBox(new Error("There is no such call, or it is not yours to see.")), h("p", {}, h("a", { href: context.searchAddress }, "To the calls")));
    return;
  }
  const model = modelOf(call);
  document.title = `${person(call.source)}, ${person(call.destination)} – recbridge`;
  const playable = model.lanes.filter(hasAudio);
  const may = (scope) => session.scopes.includes(scope);
  const mayPlay = may("play") && playable.length > 0;
  const start = startOf(model, playable, params);

  const [playerPlace, picturePlace, aside] = [h("section", { class: "card player", "aria-label": "Player" }), h("div", { class: "timeline" }), h("div", { class: "aside" })];
  const pick = (atS, lane) => playing?.pick(atS, lane);
  replace(
    place,
    h("p", { class: "back-link" }, h("a", { href: context.searchAddress }, "Calls")),
    head(model, { mayAsk: session.role === "admin" }),
    h("div", { class: "call" },
      h("div", { class: "main" },
        mayPlay ? playerPlace : noPlayer(model, may("play")),
        card("Timeline", picturePlace),
        recordings(model, { mayPlay, mayDownload: may("download"), onPick: pick }),
        story(happened(model), model, mayPlay ? pick : null)),
      aside),
  );

  // Made anew is only what has changed: what is typed in another part stays, and so does the focus.
  const parts = [
    ["tagged", () => tags(call, anew)],
    ["notes", () => notes(call, anew)],
    session.role === "admin" && ["holds", () => holds(call, anew)],
    session.role !== "user" && ["listened", () => listeners(call.listened)],
  ].filter(Boolean).map(([name, make]) => ({ name, make, json: "", element: aside.appendChild(h("div")) }));
  const besides = () => {
    for (const part of parts) {
      const json = JSON.stringify(call[part.name]);
      if (part.json === json) continue;
      const focused = part.element.contains(document.activeElement);
      const element = part.make();
      part.element.replaceWith(element);
      Object.assign(part, { json, element });
      if (focused) (element.querySelector("input, textarea") ?? element.querySelector("button"))?.focus();
    }
  };
  const anew = async () => {
    call = await get(path, null, { signal });
    besides();
  };
  besides();

  const picture = timeline(picturePlace, model, { onPick: pick, playable: mayPlay, signal });
  const playing = mayPlay && player(playerPlace, model, {
    lane: start.lane,
    atS: start.atS,
    signal,
    linkTo: (track, offsetS) => linkTo(model, track, offsetS),
    onMove: (atS, lane) => {
      picture.choose(lane);
      picture.moveTo(atS);
    },
    onPlay: () => call.listened && session.role !== "user" && setTimeout(() => signal.aborted || anew(), LISTENED_AFTER_MS),
  });
}

/** Where a link to a moment leads: `?rule=&file=&at=`, with `&record=` where the call has several. */
function startOf(model, playable, params) {
  const lane = playable[0];
  const [rule, file, record] = [params.get("rule"), params.get("file"), params.get("record")];
  if (lane === undefined || rule === null) return { lane, atS: lane ? lane.tracks.find((track) => track.playable).startS : 0 };
  const fits = (track) => String(track.section.ruleId) === rule && (file === null || String(track.section.file) === file) && (record === null || track.section.recordId === record);
  for (const one of playable) {
    const track = one.tracks.find((candidate) => candidate.playable && fits(candidate));
    if (track) return { lane: one, atS: Math.min(track.startS + Math.max(0, Number(params.get("at")) || 0), track.endS - 0.01) };
  }
  return { lane, atS: placeAt(lane, 0).track.startS };
}

function linkTo(model, track, offsetS) {
  const { section } = track;
  const query = new URLSearchParams({ rule: section.ruleId, file: section.file, at: offsetS.toFixed(1) });
  if (model.call.recordIds.length > 1) query.set("record", section.recordId);
  return `${location.origin}/calls/${model.call.id}?${query}`;
}

function noPlayer(model, may) {
  const tracks = model.lanes.flatMap((lane) => lane.tracks);
  if (tracks.length === 0) return null;
  const words = !may && model.lanes.some(hasAudio)
    ? "You may see that this call is recorded, but not play it: your token lacks the scope play."
    : tracks.every((track) => track.section.deleted)
      ? "All recordings of this call were deleted."
      : "No recording of this call can be played: what became of each stands below.";
  return h("p", { class: "notice tone-quiet" }, words);
}
