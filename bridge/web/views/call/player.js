/**
 * The player over the timeline: waveform, buttons, keys.
 * @module
 */
import { ApiError } from "../../api.js";
import { button, dialog, errorText, toast } from "../../components.js";
import { h, replace, set, setText } from "../../dom.js";
import { duration, time } from "../../format.js";
import { select } from "../../forms.js";
import { icon } from "../../icons.js";
import { hasAudio, list } from "./model.js";
import { Sound, SPEEDS } from "./sound.js";
import { loudness, Wave } from "./wave.js";

const STEP_S = 10;
const TALK_AGAIN_S = 2;
const MOST_NAMES = 3;
/** So often what moves is drawn: of a call with hundreds of sections each drawing takes its time. */
const DRAW_MS = 66;

/** The keys of the player, as the list of keys shows them. */
export const KEYS = [
  ["Space", "play or pause"],
  ["←", "10 seconds back"],
  ["→", "10 seconds on"],
  [",", "slower"],
  [".", "faster"],
  ["[", "mute the left side, or not"],
  ["]", "mute the right side, or not"],
];

/** Why a section cannot be played, by the status of its audio. */
const TROUBLE = {
  401: "Your session is over.",
  403: "Your token lacks the right to play recordings (the scope play).",
  404: "Its file is not where it was stored.",
  409: "It is not stored yet: try again in a moment.",
  410: "It was deleted.",
  503: "The database cannot be written at the moment, and who listens has to be noted first. Try again in a moment.",
};

/**
 * A player of what was recorded of a call.
 * @param {HTMLElement} place
 * @param {import("./model.js").Model} model of which at least one lane has audio
 * @param {Object} options
 * @param {import("./model.js").Lane} options.lane what is chosen at first
 * @param {number} options.atS where it stands at first, in seconds of the call
 * @param {(track: import("./model.js").Track, offsetS: number) => string} options.linkTo the address of a moment
 * @param {(atS: number, lane: import("./model.js").Lane) => void} options.onMove it stands somewhere else
 * @param {() => void} options.onPlay it has begun to play, or to play another section
 * @param {AbortSignal} options.signal
 * @returns {{pick: (atS: number, lane?: import("./model.js").Lane|null) => void}} plays from somewhere
 */
export function player(place, model, { lane, atS, linkTo, onMove, onPlay, signal }) {
  const lanes = model.lanes.filter(hasAudio);
  /** @type {Sound} */
  let sound;
  let shown = null;
  let heard = null;
  let drawing = 0;

  // What it is made of

  const wavePlace = h("div", { class: "wave" });
  const wave = new Wave(wavePlace, (offsetS) => shown && seek(shown.startS + offsetS));
  const sides = { left: side("left", "["), right: side("right", "]") };
  const caption = h("p", { class: "caption small" });
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const slider = h("input", {
    type: "range", class: "seek", min: "0", max: String(model.lengthS), step: "0.1", "aria-label": "Position in the call",
    oninput: () => seek(Number(slider.value)),
  });
  const position = h("span", { class: "position tabular" });
  const clock = h("span", { class: "clock tabular minor" });
  const toggle = button("Play", { icon: "play", kind: "primary", onclick: playOrPause });
  const speed = select(SPEEDS.map((one) => [String(one), `${one}×`]), "1", {
    "aria-label": "Speed", title: "Speed (, and .)", onchange: () => (sound.speed = Number(speed.value)),
  });
  const volume = h("input", {
    type: "range", class: "volume", min: "0", max: "1", step: "0.05", value: "1", "aria-label": "Volume", title: "Volume",
    oninput: () => (sound.audio.volume = Number(volume.value)),
  });
  const rule = lanes.length > 1 && select(lanes.map((one) => [one.key, one.name]), lane.key, {
    "aria-label": "Which rule's recording", onchange: () => use(lanes.find((one) => one.key === rule.value), sound.positionS),
  });
  const audioPlace = h("div", {});
  replace(
    place,
    h("div", { class: "player-head" }, caption, rule),
    trouble,
    sides.left.element, wavePlace, sides.right.element,
    slider,
    h("div", { class: "controls" },
      h("div", { class: "row moves" },
        button("", { icon: "left", title: "To the talk before", onclick: () => talk(-1) }),
        button("10 s", { icon: "back", title: "10 seconds back", onclick: () => move(-STEP_S) }),
        toggle,
        button("10 s", { icon: "forward", title: "10 seconds on", onclick: () => move(STEP_S) }),
        button("", { icon: "right", title: "To the next talk", onclick: () => talk(1) })),
      h("div", { class: "times" }, position, clock),
      h("div", { class: "row more" }, speed, volume, button("Copy link", { icon: "link", title: "Copy a link to this moment", onclick: copy }))),
    audioPlace,
  );

  // What it does

  function use(chosen, atS) {
    const before = sound;
    sound = new Sound(chosen);
    lane = chosen;
    replace(audioPlace, sound.audio);
    if (before) {
      sound.speed = before.speed;
      sound.audio.volume = before.audio.volume;
      for (const one of ["left", "right"]) sound.mute(one, before.muted[one]);
    }
    sound.seek(atS);
    sound.addEventListener("state", state);
    sound.addEventListener("time", moved);
    sound.addEventListener("trouble", (event) => explain(event.detail));
    if (before?.playing) sound.play();
    before?.end();
    if (rule) rule.value = chosen.key;
    state();
    moved();
  }

  function playOrPause() {
    if (sound.playing) return sound.pause();
    trouble.hidden = true;
    sound.play();
  }

  function seek(atS) {
    const wanted = Math.min(Math.max(atS, 0), model.lengthS);
    sound.seek(wanted);
  }

  const move = (byS) => seek(sound.positionS + byS);

  function talk(step) {
    const starts = model.talks.map((one) => one.startS).filter((startS) => startS < sound.endS);
    const here = sound.positionS;
    const wanted = step > 0
      ? starts.find((startS) => startS > here + 0.1)
      : starts.findLast((startS) => startS < here - (sound.playing ? TALK_AGAIN_S : 0.1));
    if (wanted !== undefined) seek(wanted);
    else if (step < 0) seek(0);
  }

  function faster(step) {
    const at = SPEEDS.indexOf(sound.speed) + step;
    if (at >= 0 && at < SPEEDS.length) sound.speed = SPEEDS[at];
  }

  async function copy() {
    const { track, positionS } = sound;
    const last = track ?? lane.tracks.findLast((one) => one.playable);
    const link = linkTo(last, Math.max(0, positionS - last.startS));
    try {
      await navigator.clipboard.writeText(link);
      toast(`The link to ${duration(positionS)} is copied`);
    } catch {
      // Without TLS a browser gives nobody the clipboard.
      const field = h("input", { type: "text", readonly: true, value: link, "aria-label": "Link", class: "link-field", onfocus: () => field.select() });
      await dialog("Link to this moment", () => h("div", {}, field, h("p", { class: "hint" }, "Copy it from here.")));
    }
  }

  // What it shows

  function state() {
    if (toggle.dataset.playing !== String(sound.playing)) {
      toggle.dataset.playing = String(sound.playing);
      replace(toggle, icon(sound.playing ? "pause" : "play"), sound.playing ? "Pause" : "Play");
    }
    speed.value = String(sound.speed);
    volume.value = String(sound.audio.volume);
    const { track } = sound;
    if (track !== null && track !== shown) show(track);
    if (sound.playing && track !== heard) {
      heard = track;
      onPlay();
    }
    clearTimeout(drawing);
    if (sound.playing) drawing = setTimeout(run, DRAW_MS);
    const stereo = (shown?.section.channels ?? 1) > 1;
    for (const [name, one] of Object.entries(sides)) one.update(stereo, shown?.section[name] ?? [], sound.muted[name]);
  }

  function run() {
    moved();
    drawing = setTimeout(run, DRAW_MS);
  }

  function moved() {
    const at = sound.positionS;
    if (document.activeElement !== slider || sound.playing) slider.value = String(at);
    const said = `${duration(at)} of ${duration(model.lengthS)}`;
    set(slider, { "aria-valuetext": said });
    setText(position, `${duration(at)} / ${duration(model.lengthS)}`);
    setText(clock, time(model.startedAt + at * 1000));
    if (shown) wave.moveTo(Math.min(at - shown.startS, shown.endS - shown.startS));
    onMove(at, lane);
  }

  async function show(track) {
    shown = track;
    const playable = lane.tracks.filter((one) => one.playable);
    const which = playable.length > 1 ? `Section ${playable.indexOf(track) + 1} of ${playable.length}` : "One section";
    const mono = track.section.channels === 1 ? "mono: both sides in one" : "";
    const words = [which, `${duration(track.startS)} to ${duration(track.endS)}`, lanes.length > 1 ? "" : lane.name, mono];
    setText(caption, words.filter(Boolean).join(" · "));
    try {
      const loud = await loudness(track);
      if (shown !== track || signal.aborted) return;
      wave.draw(loud);
      moved();
    } catch (error) {
      if (shown !== track || signal.aborted) return;
      wave.clear();
      if (!(error instanceof ApiError)) throw error;
      tell(track, TROUBLE[error.status] ?? errorText(error));
    }
  }

  /** Ask why the audio could not be had: a HEAD hands out nothing. */
  async function explain({ track, wrong }) {
    let status = 0;
    try {
      ({ status } = await fetch(track.path, { method: "HEAD", signal }));
    } catch (error) {
      if (signal.aborted) return;
    }
    if (status === 0) tell(track, "Recbridge cannot be reached.");
    else if (status === 200) tell(track, wrong === MediaError.MEDIA_ERR_DECODE ? "The browser cannot decode it." : TROUBLE[503]);
    else tell(track, TROUBLE[status] ?? `The answer was ${status}.`);
  }

  function tell(track, words) {
    setText(trouble, `Section ${track.section.file} cannot be played: ${words.charAt(0).toLowerCase()}${words.slice(1)}`);
    trouble.hidden = false;
  }

  function side(name, key) {
    const words = name === "left" ? "Left" : "Right";
    const who = h("span", { class: "who-side" });
    const mute = button("", { icon: "sound", small: true, onclick: () => sound.mute(name, !sound.muted[name]) });
    const element = h("div", { class: ["side", name] }, mute, h("span", { class: "minor" }, words), who);
    const update = (stereo, parties, muted) => {
      element.hidden = !stereo;
      const all = parties.map(model.nameOf);
      const names = list(all.length > MOST_NAMES ? [...all.slice(0, MOST_NAMES - 1), `${all.length - MOST_NAMES + 1} others`] : all) || (name === "left" ? "one side" : "the others");
      setText(who, names);
      set(who, { title: all.join(", ") });
      set(mute, { "aria-pressed": String(muted), "aria-label": `Mute ${words.toLowerCase()}: ${names}`, title: `Mute (${key})` });
      replace(mute, icon(muted ? "mute" : "sound"));
      element.classList.toggle("muted", muted);
    };
    return { element, update };
  }

  // Keys

  const DOES = {
    " ": playOrPause,
    ArrowLeft: () => move(-STEP_S),
    ArrowRight: () => move(STEP_S),
    ",": () => faster(-1),
    ".": () => faster(1),
    "[": () => sound.mute("left", !sound.muted.left),
    "]": () => sound.mute("right", !sound.muted.right),
  };
  const onKey = (event) => {
    // Brackets need AltGr, Ctrl and Alt, or Option on many keyboards.
    const bracket = "[]".includes(event.key) && (event.altKey || !event.ctrlKey);
    const combined = event.ctrlKey || event.altKey;
    if (event.defaultPrevented || event.metaKey || (combined && !bracket) || !DOES[event.key]) return;
    if (document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (target.matches("input:not([type=range]), textarea, select, [contenteditable]")) return;
    // A button takes Space by itself, a slider the arrows.
    if (event.key === " " && target.closest("button, a, summary, [role=button]")) return;
    if (event.key.startsWith("Arrow") && target.matches("input[type=range]")) return;
    event.preventDefault();
    DOES[event.key]();
  };
  document.addEventListener("keydown", onKey, { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(drawing);
    sound.end();
    wave.end();
  });

  use(lane, atS);
  return {
    pick: (atS, wanted) => {
      if (wanted && hasAudio(wanted) && wanted !== lane) use(wanted, atS);
      else seek(atS);
      trouble.hidden = true;
      if (sound.track !== null && !sound.playing) sound.play();
    },
  };
}
