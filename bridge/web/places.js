/**
 * The views: their addresses, and who may see which.
 * @module
 */

/** @typedef {import("./app.js").Session} Session */

/**
 * The views. `under`: what may follow its path goes to this module. `key` follows `g`. `may`: who sees it at all.
 * @type {Array<{name: string, path: string, label: string, key?: string, under?: string, may?: (session: Session) => boolean}>}
 */
const VIEWS = [
  { name: "now", path: "/now", label: "Now", key: "n" },
  { name: "calls", path: "/calls", label: "Calls", key: "c", under: "call" },
  { name: "rules", path: "/rules", label: "Rules", key: "r", may: (session) => session.role !== "user" },
  { name: "exports", path: "/exports", label: "Exports", key: "e", may: (session) => session.scopes.includes("export") },
  { name: "callbacks", path: "/callbacks", label: "Callbacks", key: "b", may: (session) => session.role === "admin" },
  { name: "coverage", path: "/coverage", label: "Coverage", key: "v" },
  { name: "system", path: "/system", label: "Health", key: "h" },
];

/**
 * Whose address it is.
 * @param {string} pathname
 * @returns {{module: string, view: string, path: string[]}|null}
 */
export function resolve(pathname) {
  if (pathname === "/") return { module: "now", view: "now", path: [] };
  if (pathname === "/sign-in") return { module: "sign-in", view: "sign-in", path: [] };
  for (const view of VIEWS) {
    if (pathname === view.path) return { module: view.name, view: view.name, path: [] };
    if (view.under && pathname.startsWith(`${view.path}/`)) {
      const path = pathname.slice(view.path.length + 1).split("/").map(decoded);
      return { module: view.under, view: view.name, path };
    }
  }
  return null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * The views that somebody may see.
 * @param {Session} who
 * @returns {typeof VIEWS}
 */
export function viewsOf(who) {
  return VIEWS.filter((view) => !view.may || view.may(who));
}
