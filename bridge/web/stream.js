/**
 * What happens, as it happens: `GET /api/v1/stream`. It comes back by itself, from where it was.
 * @module
 */
import { get } from "./api.js";

const KINDS = ["RecordEvent", "JournalEntry", "CallEvent"];
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const HIDDEN_MS = 60_000;

/** @typedef {"connected"|"lost"} StreamState */

/**
 * Listen until the signal is aborted.
 *
 * A page that nobody looks at gives its connection back after a minute (a browser has six for all its tabs together),
 * and comes back when it is looked at.
 * @param {(item: {type: string, id: number, data: Object<string, any>}) => void} onItem `type` is RecordEvent,
 *   JournalEntry or CallEvent
 * @param {Object} options
 * @param {(state: StreamState) => void} [options.onState] `connected` each time that it is (again): a view that shows
 *   a state reads it anew then. `lost` when the connection is, once
 * @param {AbortSignal} options.signal ends it: the view's `context.signal`
 */
export function listen(onItem, { onState, signal }) {
  let source = null;
  let cursor = null;
  let waitMs = FIRST_WAIT_MS;
  let timer = 0;
  let hideTimer = 0;
  let state = "";

  const tell = (now) => {
    if (now === "lost" && state === "lost") return;
    state = now;
    onState?.(now);
  };

  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };

  const open = () => {
    close();
    if (signal.aborted) return;
    const opened = new EventSource(cursor === null ? "/api/v1/stream" : `/api/v1/stream?after=${cursor}`);
    source = opened;
    opened.onopen = () => {
      waitMs = FIRST_WAIT_MS;
      tell("connected");
    };
    for (const type of KINDS) {
      opened.addEventListener(type, (event) => {
        cursor = Number(event.lastEventId);
        onItem({ type, id: cursor, data: JSON.parse(event.data) });
      });
    }
    opened.onerror = async () => {
      if (opened !== source) return;
      tell("lost");
      if (opened.readyState !== EventSource.CLOSED) return; // it tries again by itself
      close();
      cursor = null; // it may be what was refused: too old. Who shows a state reads that anew
      timer = setTimeout(open, waitMs);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      try {
        await get("/api/v1/session", null, { signal }); // leads to the sign-in page where the session is over
      } catch {
        // The next try says more.
      }
    };
  };

  const onVisibility = () => {
    clearTimeout(hideTimer);
    if (document.hidden) hideTimer = setTimeout(close, HIDDEN_MS);
    else if (source === null) open();
  };

  document.addEventListener("visibilitychange", onVisibility, { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(hideTimer);
    close();
  });
  open();
}
