/**
 * Plays a lane's sections one after another, in call time. Nothing is fetched before `play`: what is fetched is told to
 * others as listened to.
 * @module
 */
import { placeAt } from "./model.js";

/** How fast it may be played. */
export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3];

/** @typedef {"left"|"right"} Side */

/**
 * Events: `state` (plays or not, which track, speed, volume, sides), `time` (the position moved), `trouble` (its audio
 * cannot be had: `detail` has the track, and what is `wrong`: a code of MediaError).
 */
export class Sound extends EventTarget {
  /** @param {import("./model.js").Lane} lane */
  constructor(lane) {
    super();
    this.lane = lane;
    this.audio = new Audio();
    this.audio.preload = "none";
    this.audio.preservesPitch = true;
    /** @type {import("./model.js").Track|null} */
    this.track = null;
    this.pending = null; // where the audio is to go, as long as it does not know
    this.loaded = null; // the track that the audio element has
    this.playing = false;
    this.muted = { left: false, right: false };
    this.graph = null;
    this.audio.addEventListener("loadedmetadata", () => this.#moved());
    this.audio.addEventListener("timeupdate", () => this.#tell("time"));
    this.audio.addEventListener("seeked", () => this.#tell("time"));
    this.audio.addEventListener("ended", () => this.#next());
    this.audio.addEventListener("error", () => this.#failed());
    this.audio.addEventListener("pause", () => this.#paused());
    this.audio.addEventListener("volumechange", () => this.#tell("state"));
    this.seek(0);
  }

  /** Where it is, in seconds of the call. */
  get positionS() {
    if (this.track === null) return this.endS;
    return this.track.startS + (this.pending ?? this.audio.currentTime);
  }

  /** Where the last section that can be played ends. */
  get endS() {
    return this.lane.tracks.reduce((end, track) => (track.playable ? Math.max(end, track.endS) : end), 0);
  }

  /** @returns {number} how fast */
  get speed() {
    return this.audio.defaultPlaybackRate;
  }

  set speed(value) {
    this.audio.defaultPlaybackRate = value; // a new source begins with this one
    this.audio.playbackRate = value;
    this.#tell("state");
  }

  /** Play from where it is; from the beginning where it is at its end. */
  async play() {
    if (this.track === null) this.seek(0);
    if (this.track === null) return;
    this.#wire();
    this.graph?.context.resume();
    this.playing = true;
    this.#load();
    this.#tell("state");
    try {
      await this.audio.play();
    } catch (error) {
      // Another section was asked for meanwhile, or `error` has told it already.
      if (error.name === "NotAllowedError") this.pause();
    }
  }

  /** Stop where it is. */
  pause() {
    this.playing = false;
    this.audio.pause();
    this.#tell("state");
  }

  /**
   * Go to a moment of the call; into the next section where that one has none.
   * @param {number} atS
   */
  seek(atS) {
    const place = placeAt(this.lane, Math.max(0, atS));
    this.#go(place?.track ?? null, place?.offsetS ?? 0);
  }

  #go(track, offsetS) {
    const before = this.track;
    this.track = track;
    this.pending = offsetS;
    if (track === null) this.pause();
    else if (this.loaded === this.track) this.#moved();
    if (this.playing && this.loaded !== this.track) this.play();
    if (before !== this.track) this.#tell("state");
    this.#tell("time");
  }

  /**
   * Mute a side, or let it be heard again. Of a mono section both are always heard.
   * @param {Side} side
   * @param {boolean} muted
   */
  mute(side, muted) {
    this.muted[side] = muted;
    this.#balance();
    this.#tell("state");
  }

  /** It is not needed any more. */
  end() {
    this.playing = false;
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    this.graph?.context.close();
    this.graph = null;
  }

  #load() {
    if (this.loaded === this.track) return;
    this.loaded = this.track;
    this.audio.src = this.track.path;
    this.#balance();
  }

  /** Bring the audio to where it was sent before it could be. */
  #moved() {
    if (this.pending === null || this.loaded !== this.track || this.audio.readyState === 0) return;
    this.audio.currentTime = this.pending;
    this.pending = null;
  }

  #next() {
    const { tracks } = this.lane;
    const next = tracks.slice(tracks.indexOf(this.track) + 1).find((track) => track.playable);
    this.#go(next ?? null, 0);
  }

  #paused() {
    // By the browser, as when headphones are pulled out; at an end `ended` comes, and a change of source pauses nothing.
    if (this.playing && !this.audio.ended && this.audio.paused && this.loaded === this.track) {
      this.playing = false;
      this.#tell("state");
    }
  }

  #failed() {
    if (!this.audio.getAttribute("src")) return; // taken away by ourselves
    const detail = { track: this.track, wrong: this.audio.error?.code };
    this.pending ??= this.audio.currentTime;
    this.loaded = null;
    this.playing = false;
    this.audio.removeAttribute("src");
    this.#tell("state");
    this.dispatchEvent(new CustomEvent("trouble", { detail }));
  }

  /** The audio through a gain for each side. Not before the first play: a browser lets none begin without a click. */
  #wire() {
    if (this.graph !== null) return;
    const context = new AudioContext();
    const both = new GainNode(context, { channelCount: 2, channelCountMode: "explicit" }); // mono goes to both sides
    const splitter = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    const merger = new ChannelMergerNode(context, { numberOfInputs: 2 });
    const gains = { left: new GainNode(context), right: new GainNode(context) };
    context.createMediaElementSource(this.audio).connect(both).connect(splitter);
    splitter.connect(gains.left, 0).connect(merger, 0, 0);
    splitter.connect(gains.right, 1).connect(merger, 0, 1);
    merger.connect(context.destination);
    this.graph = { context, gains };
    this.#balance();
  }

  #balance() {
    if (this.graph === null) return;
    const stereo = this.loaded === null || this.loaded.section.channels > 1;
    for (const side of ["left", "right"]) this.graph.gains[side].gain.value = stereo && this.muted[side] ? 0 : 1;
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}
