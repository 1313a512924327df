/**
 * Setting up a callback, changing it, and the one time that its secret is shown.
 * @module
 */
import { patch, post } from "../../api.js";
import { button, dialog, toast } from "../../components.js";
import { h } from "../../dom.js";
import { field, form, select } from "../../forms.js";

const FORMATS = [["standard", "Standard Webhooks"], ["vonage", "Vonage"]];

/**
 * The form for a webhook; closes with what the API answered.
 * @param {Object|null} webhook null: a new one
 * @param {(value?: any) => void} close
 * @returns {HTMLElement}
 */
export function callbackForm(webhook, close) {
  const url = h("input", { type: "url", name: "url", required: true, value: webhook?.url ?? "", placeholder: "https://", maxlength: 2000 });
  const format = select(FORMATS, webhook?.format ?? "standard", { name: "format" });
  const events = h("input", { name: "events", required: true, value: (webhook?.events ?? ["*"]).join(", ") });
  const archive = h("input", { type: "url", name: "archiveUrl", value: webhook?.archiveUrl ?? "", maxlength: 2000 });
  const secret = h("input", { name: "secret", autocomplete: "off", spellcheck: "false" });

  async function save() {
    const body = {
      url: url.value.trim(),
      events: events.value.split(/[\s,]+/).filter(Boolean),
      archiveUrl: archive.value.trim() || null,
    };
    if (webhook) {
      close(await patch(`/api/v1/webhooks/${encodeURIComponent(webhook.id)}`, body));
    } else {
      const given = secret.value.trim() ? { secret: secret.value.trim() } : {};
      close(await post("/api/v1/webhooks", { ...body, ...given, format: format.value }));
    }
  }

  return form(
    [
      field("Address", url),
      !webhook && field("Format", format),
      field("Events", events, { hint: "Names like section.stored, section.*, journal.entry; * is all." }),
      field("Archive address", archive, { hint: "Vonage's archive events go here, if it is given." }),
      !webhook && field("Secret", secret, { hint: "Leave it empty: one is made, and shown once." }),
    ],
    { submit: webhook ? "Save" : "Add", onSubmit: save, onCancel: close, class: "stack webhook-form" },
  );
}

/**
 * Show a secret, this once.
 * @param {string} secret
 * @returns {Promise<void>} done when it was left
 */
export function showSecret(secret) {
  const text = h("input", { readonly: true, value: secret, class: "mono", "aria-label": "Secret", spellcheck: "false" });
  const copy = async () => {
    text.select();
    await navigator.clipboard.writeText(secret);
    toast("Copied.");
  };
  // Only where the page came over TLS (or from this machine) may a page write there.
  const mayCopy = Boolean(navigator.clipboard);
  return dialog(
    "The secret",
    (close) => [
      h("p", {}, "The receiver checks signatures with it. It is shown this once: afterwards only a new one can be made."),
      h("div", { class: "secret" }, text, mayCopy && button("Copy", { onclick: copy })),
      h("div", { class: "form-actions" }, button("I have it", { kind: "primary", onclick: () => close() })),
    ],
  );
}
