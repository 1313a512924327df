/**
 * Signing in with a token.
 * @module
 */
import { post } from "../api.js";
import { begin } from "../app.js";
import { button, errorText } from "../components.js";
import { h, replace } from "../dom.js";
import { field } from "../forms.js";
import { resolve } from "../places.js";

export const title = "Sign in";

/** Where to go on: only to a view of this console. `/.//elsewhere` is an address of this origin, but its path is none. */
function wanted(params) {
  const to = params.get("to") ?? "/now";
  try {
    const url = new URL(to, location.origin);
    const view = to.startsWith("/") && url.origin === location.origin ? resolve(url.pathname) : null;
    return view && view.view !== "sign-in" ? url.pathname + url.search : "/now";
  } catch {
    return "/now";
  }
}

/**
 * @param {HTMLElement} place
 * @param {import("../app.js").Context} context
 */
export async function show(place, { params, signal }) {
  const input = h("input", {
    type: "password",
    name: "token",
    autocomplete: "current-password",
    autocapitalize: "off",
    spellcheck: "false",
    required: true,
    placeholder: "rb_…",
  });
  const wrong = h("p", { class: "sign-in-wrong", role: "alert" });
  const submit = async () => {
    replace(wrong);
    const token = input.value.trim();
    if (!token) {
      replace(wrong, "Type or paste your token.");
      input.focus();
      return;
    }
    try {
      const session = await post("/api/v1/session", { token }, { signal, signIn: false });
      input.value = "";
      begin(session, wanted(params));
    } catch (error) {
      if (signal.aborted) return;
      const words =
        error.status === 401 ? "This token is not known, or it has expired." : error.status === 429 ? "Too many wrong tokens came from your address. Wait a minute." : errorText(error);
      replace(wrong, words);
      input.select();
    }
  };
  const signIn = button("Sign in", { kind: "primary", onclick: submit });
  const form = h(
    "form",
    {
      class: "sign-in card",
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        signIn.click();
      },
    },
    h("h1", {}, "recbridge"),
    field("Token", input, { hint: "An admin makes it with “recbridge token create”. It is asked for once; the session ends after 12 hours." }),
    wrong,
    signIn,
  );
  replace(place, form);
  input.focus();
}
