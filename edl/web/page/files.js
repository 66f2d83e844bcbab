// SPDX-License-Identifier: BSD-3-Clause
// A window in which a file or folder of this computer is chosen, and those chosen lately.

import * as api from "./api.js";
import { open } from "./dialogs.js";
import { h } from "./dom.js";
import { button, refusal } from "./parts.js";
import { store } from "./store.js";
import { count, size, when } from "./text.js";

const MOST_RECENT = 6;

/** Let somebody choose; the answer is a path, or null. want: `package`, `file` or `folder`. */
export function choose({ title, start, want }) {
  return new Promise((settle) => {
    const at = { chosen: null, listing: null, error: null, asked: 0 };
    const look = async (path) => {
      const turn = (at.asked += 1);
      try {
        const listing = await api.files(path);
        if (turn !== at.asked) return;
        Object.assign(at, { listing, error: null });
      } catch (error) {
        if (turn !== at.asked) return;
        at.error = error;
      }
      shown.update();
      const field = shown.element.querySelector("#files-path");
      if (at.listing && !at.error) field.value = at.listing.path;
      shown.element.querySelector(".files")?.scrollTo(0, 0);
      if (!shown.element.contains(document.activeElement)) {
        shown.element.querySelector("h2").focus();
      }
    };
    const take = (path) => {
      at.chosen = path;
      shown.close();
    };
    const shown = open({
      id: "files", title, wide: true, done: () => settle(at.chosen),
      content: (close) => content(at, { look, take, close, want }),
    });
    look(start || store.home);
  });
}

function content(at, { look, take, close, want }) {
  const { listing } = at;
  return [
    h("form", {
      class: "row", onsubmit: (event) => {
        event.preventDefault();
        look(event.target.elements.path.value);
      },
    },
    h("label", { for: "files-path" }, "Folder"),
    h("input", {
      id: "files-path", name: "path", value: "", autocomplete: "off", spellcheck: "false", dir: "ltr",
    }),
    h("button", { type: "submit" }, "Go there")),
    refusal(at.error),
    listing && h("p", { class: "actions", key: "up" },
      button("\u2191 The folder above", () => look(listing.parent),
        { disabled: listing.parent === null, id: "files-up" }),
      (listing.roots ?? []).filter((root) => root !== listing.path).map((root) =>
        button(root, () => look(root), { class: "quiet", key: root }))),
    listing && h("p", { class: "soft", role: "status", key: "count" },
      `${count(listing.entries.length, "entry", "entries")} in ${listing.path}`),
    listing && h("ul", { class: "files", "aria-label": `What is in ${listing.path}`, key: "list" },
      listing.entries.filter((entry) => want !== "folder" || entry.kind === "folder")
        .map((entry) => h("li", { key: entry.name },
          button([
            h("span", { class: "entry" },
              h("span", { "aria-hidden": "true" }, entry.kind === "folder" ? "\u25b8 " : "\u00b7 "),
              entry.name),
            h("span", { class: "soft" },
              entry.kind === "folder" ? "folder" : `${size(entry.bytes)}, ${when(entry.modified)}`),
          ], () => (entry.kind === "folder" ? look : take)(entry.path),
          { "data-name": entry.name, class: "quiet", disabled: entry.path === null }))),
      listing.entries.length === 0 && h("li", { class: "soft" }, "It is empty."),
      listing.more && h("li", { class: "soft" }, "And more: type the path of the others.")),
    h("div", { class: "buttons" },
      button("Cancel", close),
      want !== "file" && listing && button("Use this folder", () => take(listing.path),
        { id: "files-take" })),
  ];
}

/** Paths that were used lately, the last one first. */
export function recent(kind) {
  try {
    const found = JSON.parse(localStorage.getItem(`edl recent ${kind}`) ?? "[]");
    return Array.isArray(found) ? found.filter((path) => typeof path === "string" && path) : [];
  } catch {
    return []; // nothing can be kept in this browser
  }
}

/** Remember a path; an empty one: that none is wanted. */
export function used(kind, path) {
  const paths = [path, ...recent(kind).filter((other) => other !== path)].slice(0, MOST_RECENT);
  try {
    localStorage.setItem(`edl recent ${kind}`, JSON.stringify(paths));
  } catch {
    // then they are typed again
  }
}
