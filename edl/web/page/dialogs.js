// SPDX-License-Identifier: BSD-3-Clause
// Windows over the page. The careful answer has the focus; Escape agrees to nothing.

import { h, render } from "./dom.js";
import { button } from "./parts.js";

let number = 0;

/**
 * Open a window. content(close): descriptions of what is in it. Returns {close, update, element}.
 * done(): called once when it is closed, however that came about.
 */
export function open({ id, title, content, done = () => {}, wide = false }) {
  const element = document.createElement("dialog");
  const name = `dialog-title-${(number += 1)}`;
  element.id = id;
  element.className = wide ? "wide" : "";
  element.setAttribute("aria-labelledby", name);
  // tabs in the background get no `close` event before they are looked at again
  const over = () => {
    if (!element.isConnected) return;
    element.remove();
    done();
  };
  const close = () => {
    element.close();
    over();
  };
  const update = () =>
    render(element, h("h2", { id: name, tabindex: "-1" }, title), content(close));
  element.onclose = over;
  update();
  document.body.append(element);
  element.showModal();
  return { element, close, update };
}

/** Ask in a window; the answer is whether it was a yes. No has the focus. */
export function confirmed({ title, body, yes, no = "No, go back" }) {
  return new Promise((settle) => {
    let agreed = false;
    open({
      id: "confirm", title, done: () => settle(agreed),
      content: (close) => [
        h("div", { class: "asked" }, body),
        h("div", { class: "buttons" },
          button(no, close, { id: "confirm-no", autofocus: true }),
          button(yes, () => {
            agreed = true;
            close();
          }, { id: "confirm-yes", class: "danger" })),
      ],
    });
  });
}

/** Tell something in a window. */
export function tell(id, title, content) {
  return open({
    id, title, wide: true,
    content: (close) => [
      content(), h("div", { class: "buttons" }, button("Close", close, { autofocus: true })),
    ],
  });
}

/** Whether a window is open. */
export const isOpen = () => document.querySelector("dialog[open]") !== null;
