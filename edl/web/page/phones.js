// SPDX-License-Identifier: BSD-3-Clause
// The view of all phones: they come and go by themselves.

import { h } from "./dom.js";
import { brief } from "./progress.js";
import { to } from "./route.js";
import { store, working } from "./store.js";
import { sentence } from "./text.js";
import { modeOf, phoneName, whereOf } from "./words.js";

export const title = () => "Phones";

export function view() {
  const { phones } = store;
  return [
    h("h1", { tabindex: "-1" }, "Phones"),
    store.problem && h("div", { class: "card failed", key: "problem" },
      h("p", { class: "kind" }, "USB cannot be looked at"), h("p", {}, store.problem)),
    phones.length
      ? h("ul", { class: "phones", id: "phones", "aria-label": "Phones that are there", key: "all" },
        phones.map(phoneCard))
      : nobody(),
    phones.length > 0 && !phones.some((phone) => phone.mode === "edl") && ways(),
    phones.length > 0 && phones.some((phone) => phone.mode === "edl") && h("details", { key: "ways" },
      h("summary", {}, "Another phone is not shown?"), steps()),
  ];
}

function phoneCard(phone) {
  const job = working(phone.id);
  const state = phone.problem ? "failed" : phone.mode === "edl" ? "done" : "unready";
  return h("li", {
    class: `card ${state}`, key: phone.id, "data-phone": phone.id, "data-mode": phone.mode,
  },
  h("h2", {}, h("a", { href: to("phone", phone.id) }, sentence(phoneName(phone)))),
  h("p", {}, h("strong", {}, sentence(modeOf(phone)))),
  h("p", { class: "soft" }, [
    phone.chip && `chip ${phone.chip}`, whereOf(phone),
  ].filter(Boolean).join("; ")),
  phone.problem && h("p", {}, phone.problem),
  job && brief(job));
}

function nobody() {
  return h("section", { class: "card plan", key: "nobody", id: "no-phone" },
    h("p", { class: "kind" }, "Waiting for a phone"),
    h("p", {}, h("strong", {}, "No phone in EDL mode is plugged in. It appears here by itself.")),
    h("p", {}, "EDL mode (also: 9008 mode) is how the chip answers when nothing on the phone starts. "
      + "The screen stays black: that is how it should be."),
    steps(),
    h("p", {}, "While you wait: ", h("a", { href: to("check") }, "look at a package"),
      ", without a phone."));
}

function ways() {
  return h("section", { key: "ways", "aria-labelledby": "ways" },
    h("h2", { id: "ways" }, "How a phone gets into EDL mode"), steps());
}

function steps() {
  return [
    h("p", {}, "Try in this order:"),
    h("ol", { class: "ways" },
      h("li", {}, "Plug the phone in with a cable that carries data, straight into the computer, "
        + "and wait ten seconds. A phone whose boot loader is gone is in EDL mode by itself."),
      h("li", {}, "If its system still runs with USB debugging on: ", h("code", {}, "adb reboot edl"),
        ". If it shows fastboot: ", h("code", {}, "fastboot oem edl"),
        ", which many makers have locked."),
      h("li", {}, "Keys: unplug it, hold power for 15 seconds, then hold both volume keys, plug it "
        + "in, and keep holding."),
      h("li", {}, "An EDL cable (\u201cdeep flash cable\u201d): hold its button, plug it in, let go "
        + "after 5 to 10 seconds."),
      h("li", {}, "Test points: two points inside the phone that are joined while power comes. "
        + "A repair shop does that in minutes.")),
    h("p", {}, "It is plugged in and still not shown? In a terminal, ", h("code", {}, "edl doctor"),
      " looks at the cable, drivers and permissions, and says what is in the way. On Linux it is "
      + "often permission: ", h("code", {}, "edl setup-udev"), "."),
  ];
}
