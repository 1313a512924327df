/**
 * The console: which view an address shows, who is signed in, the header and the keys.
 * @module
 */
import { aborted, ApiError, del, get, SIGNED_OUT } from "./api.js";
import { button, dialog, errorBox, failed, loading } from "./components.js";
import { h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { resolve, viewsOf } from "./places.js";

/**
 * Who is signed in: `GET /api/v1/session`.
 * @typedef {{identity: string, name: string, role: "user"|"supervisor"|"admin", scopes: string[],
 *   expiresAt: number|null, systemname: string, version: string}} Session
 */

/**
 * What a view is shown with.
 * @typedef {Object} Context
 * @property {URLSearchParams} params of the address
 * @property {string[]} path what stands behind the view's own path: `["17"]` of /calls/17
 * @property {Session|null} session null on the sign-in page alone
 * @property {(path: string, options?: {replace?: boolean}) => void} go to another address of the console
 * @property {(params: Object<string, any>, options?: {replace?: boolean}) => void} setParams changes the address and
 *   `params`, and shows nothing anew: the view does that. Empty text, null and undefined take a parameter away. Going
 *   back in the browser shows the view anew
 * @property {string} searchAddress of the search in finished calls that was shown last
 * @property {AbortSignal} signal aborted when the view is left
 */

/** Keys that hold everywhere. A view's module may export `KEYS` of its own, `[["Space", "play or pause"]]`, for `?`. */
const KEYS = [
  ["/", "search"],
  ["?", "these keys"],
  ["Esc", "close a dialog, leave a field"],
];

const header = /** @type {HTMLElement} */ (document.getElementById("header"));
const main = /** @type {HTMLElement} */ (document.getElementById("view"));
const SETTLE_MS = 150;

/** @type {Session|null} */
let session = null;
let leave = () => {};
/** @type {Array<[string, string]>} */
let shownKeys = [];
let shownAddress = "";
let searchAddress = "/calls";
let settled = false;
let scrolling = 0;

const address = () => location.pathname + location.search;

/**
 * Go to an address of the console.
 * @param {string} path with its query
 * @param {{replace?: boolean}} [options] `replace`: Back does not come here again
 */
export function go(path, { replace: instead = false } = {}) {
  keepScroll();
  history[instead || path === address() ? "replaceState" : "pushState"](null, "", path);
  show();
}

/** Each entry of the history keeps how far it was scrolled: what is gone back to has to be read before it has a height. */
function keepScroll() {
  clearTimeout(scrolling);
  if (settled) history.replaceState({ y: window.scrollY }, "");
}

function noteAddress() {
  shownAddress = address();
  if (resolve(location.pathname)?.module === "calls") searchAddress = shownAddress;
}

/** Show what the address says. */
async function show() {
  leave();
  clearTimeout(scrolling);
  settled = false;
  noteAddress();
  const y = history.state?.y ?? 0;
  const aborter = new AbortController();
  const { signal } = aborter;
  /** @type {(() => void)|null} */
  let end = null;
  let left = false;
  leave = () => {
    left = true;
    aborter.abort();
    end?.();
    for (const one of document.querySelectorAll("dialog")) one.close();
  };

  const found = resolve(location.pathname);
  if (found?.view !== "sign-in" && session === null && !(await signedIn(signal))) return;
  if (left) return;
  const params = new URLSearchParams(location.search);
  const place = h("div", { class: ["view", found ? `view-${found.module}` : ""] });
  replace(main, place);
  drawHeader(found?.view);
  window.scrollTo(0, 0);
  if (!found) {
    document.title = "Not found – recbridge";
    replace(place, h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "/now" }, "To the calls that go on now")));
    return;
  }
  const waiting = setTimeout(() => place.childElementCount || replace(place, loading()), 300);
  try {
    const module = await moduleOf(found.module);
    if (left) return;
    document.title = `${module.title} – recbridge`;
    shownKeys = module.KEYS ?? [];
    if (document.activeElement === document.body) main.focus({ preventScroll: true });
    const context = { params, path: found.path, session, go, setParams: paramsSetter(params), searchAddress, signal };
    end = (await module.show(place, context)) ?? null;
    if (left) end?.();
    else if (y > 0) window.scrollTo(0, y);
  } catch (error) {
    if (!left && !aborted(error) && !(error instanceof ApiError && error.status === 401)) {
      if (!(error instanceof ApiError)) console.error(error);
      replace(place, errorBox(error, { again: error instanceof NoModule ? loadAgain : show }));
    }
  } finally {
    clearTimeout(waiting);
    if (!left) settled = true;
  }
}

/** A view's code was not had: the daemon is gone, or is of another version by now than what this page has of it. */
class NoModule extends ApiError {
  constructor() {
    super(0, "no-module", "This page could not be loaded. recbridge is not reached, or it was changed meanwhile.");
  }
}

/** @param {string} name */
async function moduleOf(name) {
  try {
    return await import(`./views/${name}.js`);
  } catch (error) {
    console.error(error);
    throw new NoModule();
  }
}

/** What was not had once a browser does not ask for again. While nobody answers this page stays. */
async function loadAgain() {
  await get("/api/v1/session");
  location.reload();
}

function paramsSetter(params) {
  return (changes, { replace: instead = false } = {}) => {
    for (const [name, value] of Object.entries(changes)) {
      const text = Array.isArray(value) ? value.join(",") : value;
      if (text === null || text === undefined || text === "") params.delete(name);
      else params.set(name, String(text));
    }
    const query = params.toString();
    keepScroll();
    history[instead ? "replaceState" : "pushState"](null, "", location.pathname + (query ? `?${query}` : ""));
    noteAddress();
  };
}

/** Ask who is signed in; where nobody is, or it cannot be asked, the page says so. */
async function signedIn(signal) {
  const waiting = setTimeout(() => main.childElementCount || replace(main, loading()), 300);
  try {
    session = await get("/api/v1/session", null, { signal });
    return true;
  } catch (error) {
    if (!aborted(error) && !(error instanceof ApiError && error.status === 401)) {
      replace(main, errorBox(error, { again: show }));
    }
    return false;
  } finally {
    clearTimeout(waiting);
  }
}

/**
 * Take a session that has just begun, and go on.
 * @param {Session} begun
 * @param {string} to where
 */
export function begin(begun, to) {
  session = begun;
  go(to, { replace: true });
}

function toSignIn() {
  session = null;
  if (location.pathname === "/sign-in") return;
  const to = address();
  go(to === "/" ? "/sign-in" : `/sign-in?to=${encodeURIComponent(to)}`, { replace: true });
}

async function signOut() {
  await del("/api/v1/session");
  session = null;
  searchAddress = "/calls";
  go("/sign-in");
}

// The header

function drawHeader(current) {
  if (session === null) {
    replace(header);
    return;
  }
  const links = viewsOf(session).map((view) =>
    h("a", { href: view.path, "aria-current": view.name === current ? "page" : null }, view.label),
  );
  const who = session.name && session.name !== session.identity ? `${session.name} (${session.identity})` : session.identity;
  replace(
    header,
    h("a", { class: "brand", href: "/now", title: `recbridge ${session.version}` }, "recbridge", session.systemname && h("span", { class: "minor" }, session.systemname)),
    h("nav", { "aria-label": "Views" }, links),
    h(
      "div",
      { class: "who" },
      h("span", { class: "identity" }, icon("user"), h("span", {}, who), h("span", { class: "minor" }, session.role)),
      button("", { icon: "keys", kind: "plain", title: "Keys", onclick: showKeys }),
      button("Sign out", { kind: "plain", onclick: signOut }),
    ),
  );
  // On a phone the views do not all fit.
  header.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

// Keys

function showKeys() {
  const views = session ? viewsOf(session).filter((view) => view.key).map((view) => [`g ${view.key}`, view.label]) : [];
  const list = (title, keys) => [
    h("h3", {}, title),
    h("dl", { class: "keys" }, keys.map(([key, what]) => h("div", {}, h("dt", {}, key.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, what)))),
  ];
  return dialog("Keys", () => [
    shownKeys.length > 0 && list("In this view", shownKeys),
    list("Everywhere", KEYS),
    views.length > 0 && list("Go to", views),
  ]);
}

const TYPING = "input:not([type=checkbox],[type=radio],[type=range],[type=button]), textarea, select, [contenteditable]";
let waitsForView = 0;

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target instanceof Element && event.target.matches(TYPING);
  if (event.key === "Escape" && typing) return event.target.blur();
  if (typing || document.querySelector("dialog[open]")) return;
  if (Date.now() < waitsForView) {
    waitsForView = 0;
    const view = session && viewsOf(session).find((one) => one.key === event.key);
    if (view) {
      event.preventDefault();
      go(view.path);
    }
    return;
  }
  if (event.key === "g" && session) {
    waitsForView = Date.now() + 1500;
  } else if (event.key === "?") {
    event.preventDefault();
    showKeys();
  } else if (event.key === "/" && session) {
    event.preventDefault();
    const search = main.querySelector("input[type=search]");
    if (search instanceof HTMLElement) search.focus();
    else go("/calls");
  }
}

/** A click on a link of the console shows its view without loading the page again. */
function onClick(event) {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (!resolve(link.pathname) || (link.hash && link.pathname === location.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
// Going to a heading of the same page (the skip link does) is no other address.
window.addEventListener("popstate", () => address() === shownAddress || show());
window.addEventListener("scroll", () => {
  clearTimeout(scrolling);
  scrolling = setTimeout(keepScroll, SETTLE_MS);
}, { passive: true });
window.addEventListener("pagehide", keepScroll);
history.scrollRestoration = "manual";
window.addEventListener(SIGNED_OUT, toSignIn);
window.addEventListener("unhandledrejection", (event) => failed(event.reason));
show();
