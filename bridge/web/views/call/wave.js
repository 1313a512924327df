/**
 * The waveform of one section, from the loudness that the server keeps: its audio is not asked for.
 * @module
 */
import WaveSurfer from "../../vendor/wavesurfer/wavesurfer.esm.js";
import { get } from "../../api.js";

const SIDE_HEIGHT = 52;
const MOST_GAIN = 8;

/** @type {Map<string, Promise<{durationS: number, sides: Float32Array[]}>>} */
const read = new Map();
const KEPT = 20;

/**
 * How loud a section is over its length, 0 to 1, for each channel.
 * @param {import("./model.js").Track} track
 * @returns {Promise<{durationS: number, sides: Float32Array[]}>}
 * @throws {import("../../api.js").ApiError}
 */
export function loudness(track) {
  const key = `${track.path} ${track.section.sha256}`;
  if (!read.has(key)) {
    read.set(key, get(`${track.path}/peaks`).then(decoded));
    read.get(key).catch(() => read.delete(key));
    if (read.size > KEPT) read.delete(read.keys().next().value);
  }
  return read.get(key);
}

function decoded({ durationS, peaks }) {
  const sides = peaks.map((text) => {
    const bytes = Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return Float32Array.from({ length: bytes.length / 2 }, (_, n) => Math.max(-bytes[2 * n], bytes[2 * n + 1]) / 128);
  });
  return { durationS, sides };
}

const color = (place, name) => getComputedStyle(place).getPropertyValue(name).trim();

/** Two colours as #rrggbb, in one. It has to be opaque: what is played is drawn over it, and no darker than it. */
function mixed(one, other, share) {
  const parts = (text) => [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16));
  const [a, b] = [parts(one), parts(other)];
  return `rgb(${a.map((value, n) => Math.round(value * share + b[n] * (1 - share))).join(" ")})`;
}

/** Draws sections into a place, one at a time. */
export class Wave {
  /**
   * @param {HTMLElement} place
   * @param {(offsetS: number) => void} onPick a place in it was clicked
   */
  constructor(place, onPick) {
    this.place = place;
    this.onPick = onPick;
    this.surfer = null;
    this.drawn = null;
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.recolor = () => this.drawn && this.draw(this.drawn);
    this.scheme.addEventListener("change", this.recolor);
  }

  /**
   * Draw a section's loudness.
   * @param {{durationS: number, sides: Float32Array[]}} loud
   */
  draw(loud) {
    const at = this.drawn === loud ? this.surfer.getCurrentTime() : 0;
    this.clear();
    this.drawn = loud;
    const loudest = loud.sides.reduce((most, side) => side.reduce((a, b) => Math.max(a, b), most), 0);
    // Telephone speech is quiet; noise alone is not blown up.
    const barHeight = loudest > 0 ? Math.min(MOST_GAIN, 0.95 / loudest) : 1;
    const names = loud.sides.length > 1 ? ["--left", "--right"] : ["--accent"];
    const looks = names.map((name) => {
      const strong = color(this.place, name);
      const waveColor = mixed(strong, color(this.place, "--surface"), 0.5);
      return { waveColor, progressColor: strong, height: SIDE_HEIGHT, barHeight };
    });
    this.surfer = WaveSurfer.create({
      container: this.place,
      ...looks[0],
      splitChannels: looks.length > 1 ? looks : undefined,
      cursorColor: color(this.place, "--text"),
      cursorWidth: 2,
      hideScrollbar: true,
      dragToSeek: true,
      peaks: loud.sides,
      duration: loud.durationS,
      cspNonce: document.querySelector("meta[name=style-nonce]")?.getAttribute("content") ?? undefined,
    });
    this.surfer.on("interaction", (offsetS) => this.onPick(offsetS));
    this.moveTo(at);
  }

  /**
   * Show how far it is played.
   * @param {number} offsetS
   */
  moveTo(offsetS) {
    this.surfer?.setTime(offsetS);
  }

  /** Draw nothing. */
  clear() {
    this.surfer?.destroy();
    this.surfer = null;
    this.drawn = null;
  }

  /** It is not needed any more. */
  end() {
    this.scheme.removeEventListener("change", this.recolor);
    this.clear();
  }
}
