// SPDX-License-Identifier: BSD-3-Clause
// The form for a package: which one, and what of it. For one phone, and for the station.

import { begin } from "./begin.js";
import { h } from "./dom.js";
import { used } from "./files.js";
import { asTyped, flag, notNow, oneOf, options, path, submitting, text } from "./forms.js";
import { back, refusal } from "./parts.js";
import { to } from "./route.js";
import { phoneOf, store } from "./store.js";
import { phoneName } from "./words.js";

export const title = () => "Write a package";

/** The view `phone/ID/package`: choose a package for this phone, see the plan next. */
export function view({ words, query }, local) {
  const phone = phoneOf(words[1]);
  const before = store.jobs.get(query.get("from"))?.options ?? {};
  return [
    back(to("phone", words[1]), `Back to ${phoneName(phone)}`),
    h("h1", { tabindex: "-1" }, `Write a package to ${phoneName(phone)}`),
    h("p", {}, "A package (stock ROM, firmware) is what the maker gives to write a phone with. It "
      + "must be for exactly this model. It need not be unpacked."),
    h("p", {}, h("strong", {}, "Nothing is written yet: "), "first you see the plan."),
    refusal(local.error),
    form({
      before, local, submit: "Show the plan", wait: notNow(words[1]),
      onsubmit: (given) => begin(local, "plan", words[1], given),
    }),
  ];
}

/** The view `check`: what a package is, and whether it is whole, without a phone. */
export const check = {
  title: () => "Look at a package",
  view: (route, local) => [
    back(to("phones"), "All phones"),
    h("h1", { tabindex: "-1" }, "Look at a package"),
    h("p", {}, "What is it, what would it write, and is it whole? No phone is needed, and nothing is "
      + "written."),
    refusal(local.error),
    form({
      before: store.jobs.get(route.query.get("from"))?.options ?? {}, local, submit: "Look at it",
      onsubmit: ({ loader, overwrite, ...given }) => begin(local, "check", null, given),
    }),
  ],
};

/** The form; onsubmit gets the options of the job. */
export function form({ before, local, submit, onsubmit, wait = null, more = null }) {
  return h("form", {
    id: "package-form", key: "form", onsubmit: (event) => {
      event.preventDefault();
      const given = options(event.target);
      used("packages", given.package);
      onsubmit(given);
    },
  },
  path({
    id: "package", name: "package", label: "Package", want: "package", kind: "packages",
    title: "Choose a package", value: asTyped(before.package), required: true,
    hint: "An archive (zip, tgz, ofp and others) or a folder on this computer, with its whole path.",
  }),
  oneOf({
    id: "data", name: "data", legend: "Photos, apps and settings on the phone",
    value: before.wipe ? "wipe" : "keep",
    choices: [
      ["keep", "Keep them", "What the package has for the user\u2019s data is left out. If the phone "
        + "then starts over and over, the old data does not fit: write it again with "
        + "\u201cReplace\u201d."],
      ["wipe", "Replace them: everything of the user is lost",
        "As from the factory. It cannot be undone."],
    ],
  }),
  more,
  h("details", { key: "more", id: "package-more", open: hasMore(before) },
    h("summary", {}, "More choices"),
    h("div", { class: "field", key: "slot" },
      h("label", { for: "slot" }, "Slot"),
      h("select", { id: "slot", name: "slot", "aria-describedby": "slot-hint" },
        [["", "the active one"], ["both", "both"], ["a", "a"], ["b", "b"]].map(([value, words]) =>
          h("option", { value, selected: (before.slot ?? "") === value }, words))),
      h("p", { class: "hint", id: "slot-hint" }, "Many phones have two copies of the system, a and b, "
        + "and start one of them. This is for images that do not say which.")),
    text({
      id: "only", name: "only", label: "Only these partitions", value: asTyped(before.only),
      hint: "Names with commas, such as boot_a, vbmeta_a. Empty: all that the package has.",
    }),
    text({
      id: "skip", name: "skip", label: "Not these partitions", value: asTyped(before.skip),
      hint: "Names with commas. They stay as they are.",
    }),
    text({
      id: "choose", name: "choose", label: "Which part of the package", value: asTyped(before.choose),
      hint: "Only if edl asks for it: NAME=VALUE, where the package has several of something.",
    }),
    text({
      id: "overwrite", name: "overwrite", label: "Overwrite although it exists only once",
      value: asTyped(before.overwrite),
      hint: "Names of partitions with calibration, numbers or keys of this very phone. They are "
        + "saved first. Leave it empty unless you know why.",
    }),
    path({
      id: "loader", name: "loader", label: "Loader (programmer)", want: "file",
      kind: "loaders", title: "Choose a loader", value: asTyped(before.loader),
      hint: "The signed program that the phone needs for this. Empty: taken from the package, or "
        + "from those that edl keeps.",
    }),
    flag({
      id: "allow-missing", name: "allow_missing", label: "Go on if files of the package are missing",
      checked: before.allow_missing === true,
      hint: "What they are for is then not written, and the phone may not start.",
    })),
  submitting("package-submit", submit, wait, local));
}

function hasMore(before) {
  return ["slot", "only", "skip", "choose", "overwrite", "loader", "allow_missing"]
    .some((key) => before[key] !== undefined);
}
