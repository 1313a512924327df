/**
 * The deliveries of a webhook, the newest first, page by page.
 * @module
 */
import { aborted, get, newest, post } from "../../api.js";
import { badge, button, empty, errorBox, loading, toast } from "../../components.js";
import { h, replace } from "../../dom.js";
import { ago, number, shortMoment } from "../../format.js";
import { field, select } from "../../forms.js";
import { table } from "../../table.js";
import { errorWords } from "./words.js";

const STATES = [["", "all"], ["waiting", "waiting"], ["delivered", "delivered"], ["given-up", "given up"]];
const WORDS = { waiting: ["pending", "waiting"], delivered: ["delivered", "delivered"], "given-up": ["error", "given up"] };
const PAGE = 25;

/**
 * @param {{id: string}} webhook
 * @param {Pick<import("../../app.js").Context, "params"|"setParams"|"signal">} context `state` of its parameters narrows it
 * @returns {HTMLElement}
 */
export function deliveries(webhook, { params, setParams, signal }) {
  const path = `/api/v1/webhooks/${encodeURIComponent(webhook.id)}/deliveries`;
  const rows = h("div", {}, loading());
  const choice = select(STATES, params.get("state") ?? "", {
    onchange: () => {
      setParams({ state: choice.value }, { replace: true });
      read();
    },
  });
  let items = [];
  let whole = false;
  const turn = newest(signal);

  async function page(before) {
    const answer = await get(path, { state: params.get("state"), limit: PAGE, before }, { signal: turn() });
    whole = answer.items.length < PAGE;
    return answer.items;
  }

  async function read() {
    try {
      items = await page(null);
      draw();
    } catch (error) {
      if (!aborted(error)) replace(rows, errorBox(error, { again: read }));
    }
  }

  async function resend(one) {
    await post(`${path}/${encodeURIComponent(one.id)}/resend`);
    toast("It is sent once more.");
    await read();
  }

  function draw() {
    if (items.length === 0) {
      replace(rows, empty("There are no such deliveries."));
      return;
    }
    const more = async () => {
      items = [...items, ...(await page(items.at(-1).id))];
      draw();
    };
    replace(rows, table(columns(resend), items, { caption: "Deliveries", key: (one) => one.id }), !whole && h("p", { class: "more" }, button("Show older ones", { onclick: more })));
  }

  read();
  const again = button("Read again", { small: true, onclick: read });
  return h("div", { class: "stack" }, h("div", { class: "fields" }, field("State", choice), again), rows);
}

function columns(resend) {
  const state = (one) => {
    const [key, word] = WORDS[one.state] ?? [one.state, one.state];
    return badge(key, word);
  };
  const said = (one) => {
    const answer = errorWords(one.error) || (one.status && `answer ${one.status}`);
    const parts = [answer, one.nextAt && one.attempts > 0 && `next try ${ago(one.nextAt)}`];
    return parts.filter(Boolean).join(", ");
  };
  return [
    { label: "Made", cell: (one) => shortMoment(one.createdAt), class: "nowrap" },
    { label: "Event", cell: (one) => one.event },
    { label: "Call", cell: (one) => h("span", { class: "mono" }, one.call), class: "minor" },
    { label: "State", cell: state },
    { label: "Attempts", cell: (one) => number(one.attempts), class: "number" },
    { label: "Last answer", cell: said, class: "wide" },
    {
      label: h("span", { class: "unseen" }, "What you may do"),
      cell: (one) => one.state !== "waiting" && button("Resend", { small: true, title: `Resend ${one.event} of ${shortMoment(one.createdAt)}`, onclick: () => resend(one) }),
    },
  ];
}
