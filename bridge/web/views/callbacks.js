/**
 * Callbacks: who is told of what happens, whether it arrives, and what became of each delivery.
 * @module
 */
import { del, get, patch, post } from "../api.js";
import { badge, button, confirm, dialog, empty, errorBox, facts, heading, loading, staleNotice, toast } from "../components.js";
import { h, keyed, replace } from "../dom.js";
import { ago, counted, moment, number } from "../format.js";
import { poll } from "../poll.js";
import { deliveries } from "./callbacks/deliveries.js";
import { callbackForm, showSecret } from "./callbacks/forms.js";
import { errorWords } from "./callbacks/words.js";

export const title = "Callbacks";

const EVERY_MS = 5000;

/** Why one is disabled, by its code. */
const DISABLED = {
  "by-admin": "an admin has disabled it",
  "too-many-failures": "too many deliveries failed",
  gone: "its receiver answered that it is gone for good (410)",
};

/**
 * @param {HTMLElement} place
 * @param {import("../app.js").Context} context
 */
export async function show(place, context) {
  const { params, session, signal } = context;
  if (session.role !== "admin") {
    replace(place, heading(title), empty("Callbacks are for admins."));
    return undefined;
  }
  const list = h("div", {}, loading());
  const add = button("Add a callback", { icon: "plus", kind: "primary", onclick: () => change(null) });
  const stale = staleNotice();
  replace(place, heading(title, add), stale.element, list);
  const items = h("ul", { class: "webhooks", "aria-label": title });

  async function change(webhook) {
    const saved = await dialog(webhook ? "Change the callback" : "Add a callback", (close) => callbackForm(webhook, close));
    if (saved?.secret) await showSecret(saved.secret);
    if (saved) await read();
  }

  const read = poll(
    async () => {
      const { items: webhooks } = await get("/api/v1/webhooks", null, { signal });
      stale.show(null);
      if (webhooks.length === 0) {
        replace(list, empty("No callbacks are set up.", h("p", {}, "A callback is an address of another system that is told by HTTP what happens here.")));
        return;
      }
      if (!items.isConnected) replace(list, items);
      keyed(items, webhooks, (one) => one.id, () => element(context), (made, one) => made.draw(one, { change, read }));
    },
    { everyMs: EVERY_MS, signal, onError: (error) => (items.isConnected ? stale.show(error) : replace(list, errorBox(error, { again: read }))) },
  );
  await read();
  if (params.get("webhook") && !items.querySelector(`[data-key="${CSS.escape(params.get("webhook"))}"]`)) {
    toast("That callback is not there any more.", { bad: true });
  }
  return undefined;
}

/** An element for a webhook. Its `draw` fills it; buttons are made anew only where others are needed: they have the focus. */
function element({ params, setParams, signal }) {
  const head = h("div", {});
  const buttons = h("div", { class: "row webhook-actions" });
  const more = h("div", { class: "webhook-deliveries" });
  const made = h("li", { class: "card webhook" }, head, buttons, more);
  let webhook = null;
  let shown = false;

  const isChosen = () => params.get("webhook") === webhook.id;
  const open = () => {
    if (isChosen() === shown) return;
    shown = isChosen();
    replace(more, shown && deliveries(webhook, { params, setParams, signal }));
  };

  made.draw = (now, actions) => {
    const before = webhook;
    webhook = now;
    if (JSON.stringify(before) !== JSON.stringify(now)) replace(head, about(now));
    if (before?.enabled !== now.enabled) {
      const focused = [...buttons.children].indexOf(document.activeElement);
      replace(buttons, buttonsOf(actions));
      if (focused >= 0) buttons.children[focused].focus();
    }
    open();
  };

  function buttonsOf({ change, read }) {
    const path = `/api/v1/webhooks/${encodeURIComponent(webhook.id)}`;
    const toggle = button("", { small: true, onclick: () => {
      setParams({ webhook: isChosen() ? null : webhook.id, state: null }, { replace: true });
      name();
      open();
    } });
    toggle.classList.remove("icon-only");
    const name = () => {
      toggle.textContent = isChosen() ? "Hide deliveries" : "Deliveries";
      toggle.setAttribute("aria-expanded", String(isChosen()));
    };
    name();
    return [
      toggle,
      button("Test", { small: true, onclick: () => test(path) }),
      button("Change", { small: true, onclick: () => change(webhook) }),
      button("New secret", { small: true, onclick: () => rotate(path, webhook, read) }),
      webhook.enabled
        ? button("Disable", { small: true, onclick: () => enable(path, false, read) })
        : button("Enable", { small: true, kind: "primary", onclick: () => enable(path, true, read) }),
      button("Delete", { small: true, kind: "danger", icon: "trash", onclick: () => remove(path, webhook, read) }),
    ];
  }
  return made;
}

function about(one) {
  const why = one.enabled ? null : [DISABLED[one.disabledReason] ?? one.disabledReason, ", ", moment(one.disabledAt)];
  const old = one.secrets.filter((secret) => secret.expiresAt !== null);
  return [
    h("div", { class: "webhook-head" }, h("strong", { class: "webhook-url" }, one.url), badge(one.enabled ? "enabled" : "disabled")),
    h(
      "div",
      { class: "webhook-about" },
      facts([
        why && ["Disabled because", why],
        ["Waiting", one.waiting ? counted(one.waiting, "delivery", "deliveries") : "nothing"],
        ["Events", one.events.join(", ")],
        ["Format", one.format],
        one.archiveUrl && ["Archive", one.archiveUrl],
        ["Secret", old.length ? `${number(one.secrets.length)} sign; the old one until ${moment(old[0].expiresAt)}` : "one signs"],
        ["Set up", ago(one.createdAt)],
      ]),
    ),
  ];
}

async function test(path) {
  const answer = await post(`${path}/test`);
  if (answer.delivered) toast(`The test arrived: answer ${answer.status}.`);
  else toast(`The test did not arrive: ${errorWords(answer.error)}.`, { bad: true });
}

async function rotate(path, one, read) {
  const question = `A new secret signs what goes to ${one.url}. The one before signs beside it for 24 hours.`;
  if (!(await confirm(question, { title: "Make a new secret?", yes: "Make it" }))) return;
  const { secret } = await post(`${path}/secrets`, {});
  await showSecret(secret);
  await read();
}

async function enable(path, enabled, read) {
  await patch(path, { enabled });
  toast(enabled ? "Enabled: it goes on where it was." : "Disabled.");
  await read();
}

async function remove(path, one, read) {
  const question = `${one.url} is told nothing any more. ${one.waiting ? `${counted(one.waiting, "delivery waits", "deliveries wait")}, and will not be sent.` : ""}`;
  if (!(await confirm(question, { title: "Delete this callback?", yes: "Delete", danger: true }))) return;
  await del(path);
  await read();
}
