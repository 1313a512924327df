/**
 * Reading again and again, as long as somebody looks.
 * @module
 */
import { aborted, ApiError } from "./api.js";

/**
 * Reads at once, and anew some time after each reading. Nobody looks at a hidden page: nothing is read there, and at
 * once when it is shown again. Two readings never run beside each other.
 * @param {() => Promise<number|void>} read may say in how many milliseconds it wants to be called again
 * @param {Object} options
 * @param {number} options.everyMs
 * @param {(error: any) => void} options.onError not called where the view is left, or leads to the sign-in
 * @param {AbortSignal} options.signal ends it: the view's `context.signal`
 * @returns {() => Promise<void>} read now; done when what it read is shown
 */
export function poll(read, { everyMs, onError, signal }) {
  let timer = 0;
  /** @type {Promise<void>|null} */
  let reading = null;
  /** @type {Promise<void>|null} */
  let next = null;

  const once = async () => {
    clearTimeout(timer);
    let wait = everyMs;
    try {
      wait = Number((await read()) ?? everyMs);
    } catch (error) {
      if (!signal.aborted && !aborted(error) && !(error instanceof ApiError && error.status === 401)) onError(error);
    }
    reading = null;
    if (!signal.aborted && !document.hidden && !next) timer = setTimeout(now, wait);
  };

  const now = () => {
    if (reading === null) return (reading = once());
    // What is under way may have been answered before whatever made somebody ask anew.
    next ??= reading.then(() => {
      next = null;
      return signal.aborted ? undefined : now();
    });
    return next;
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : now()), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return now;
}
