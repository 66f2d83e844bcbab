// SPDX-License-Identifier: BSD-3-Clause
// The forms to back a phone up and to write a backup back.

import { begin } from "./begin.js";
import { h } from "./dom.js";
import { used } from "./files.js";
import { asTyped, flag, notNow, oneOf, options, path, submitting, text } from "./forms.js";
import { back, refusal } from "./parts.js";
import { to } from "./route.js";
import { latest, loaderOf, phoneOf, store } from "./store.js";
import { list, size } from "./text.js";
import { phoneName } from "./words.js";

const LARGEST_UNIQUE = 2 ** 27; // the user's data exists only once, too, and is no matter of seconds

export const title = ({ words }) => (words[2] === "restore" ? "Write a backup back" : "Back up");

/** The views `phone/ID/backup` and `phone/ID/restore`. */
export function view(route, local) {
  return (route.words[2] === "restore" ? restore : backup)(route, local);
}

/** The partitions that exist only once, small enough to be saved in seconds; null: not known. */
function uniqueNames(storage) {
  if (!storage) return null;
  return storage.luns.flatMap((lun) => lun.partitions
    .filter((row) => row.unique && row.sectors * lun.sector_bytes <= LARGEST_UNIQUE)
    .map((row) => `${lun.lun}/${row.name}`));
}

function backup({ words, query }, local) {
  const phone = phoneOf(words[1]);
  const before = store.jobs.get(query.get("from"))?.options ?? {};
  const unique = uniqueNames(latest(words[1], "storage")?.result);
  return [
    back(to("phone", words[1]), `Back to ${phoneName(phone)}`),
    h("h1", { tabindex: "-1" }, `Back up ${phoneName(phone)}`),
    h("p", {}, "Everything that can be read is saved on this computer, with digests that prove every "
      + "block. Nothing on the phone is changed."),
    refusal(local.error),
    h("form", {
      id: "backup-form", key: "form", onsubmit: (event) => {
        event.preventDefault();
        const { what, ...given } = options(event.target);
        if (what === "most") given.skip = ["userdata"];
        if (what === "unique") given.only = unique;
        used("backups", given.folder);
        begin(local, "backup", words[1], given);
      },
    },
    oneOf({
      id: "what", name: "what", legend: "What shall be saved?",
      value: before.only ? "unique" : before.skip ? "most" : "all",
      choices: [
        ["all", "All of it", storageSize(phone)],
        ["most", "All but the user\u2019s data",
          "Without the partition userdata (photos, apps), which is mostly the largest and is "
          + "encrypted on newer phones."],
        ["unique", "Only what exists only once",
          unique?.length ? `Calibration, numbers, keys: ${list(unique, 8)}. A matter of seconds.`
            : "Calibration, numbers, keys. Look at the map of the storage first: it tells which "
              + "partitions those are.",
          !unique?.length],
      ],
    }),
    path({
      id: "folder", name: "folder", label: "Into this folder", want: "folder", kind: "backups",
      title: "Choose a folder", required: true,
      value: query.get("folder") ?? before.folder ?? suggested(phone),
      hint: "It is made if it is not there. To go on with a backup that was interrupted, name its "
        + "folder.",
    }),
    flag({
      id: "resume", name: "resume", label: "Go on with the interrupted backup in that folder",
      checked: query.get("resume") === "1" || before.resume === true,
      hint: "What is there already is looked at and kept.",
    }),
    loader(before, words[1]),
    submitting("backup-submit", "Back up", notNow(words[1]), local)),
  ];
}

function loader(before, phone) {
  return path({
    id: "loader", name: "loader", label: "Loader (programmer)", want: "file", kind: "loaders",
    title: "Choose a loader", value: before.loader ?? loaderOf(phone),
    hint: "The signed program that the phone needs for this. Empty: found by itself.",
  });
}

function storageSize(phone) {
  const bytes = phone?.identity?.storage?.bytes;
  return bytes ? `${size(bytes)} at most; blank parts take no time and no room.`
    : "Blank parts take no time and no room.";
}

function suggested(phone) {
  if (!store.home) return "";
  const line = store.separator;
  const day = new Date().toISOString().slice(0, 10);
  const home = store.home.endsWith(line) ? store.home : store.home + line;
  return `${home}edl-backup-${phone?.serial || "phone"}-${day}`;
}

function restore({ words, query }, local) {
  const phone = phoneOf(words[1]);
  const before = store.jobs.get(query.get("from"))?.options ?? {};
  return [
    back(to("phone", words[1]), `Back to ${phoneName(phone)}`),
    h("h1", { tabindex: "-1" }, `Write a backup back to ${phoneName(phone)}`),
    h("p", {}, "A backup of this very phone is written whole. Of another phone\u2019s only what all "
      + "phones of the model have in common can be written: the rest would destroy this phone\u2019s "
      + "numbers, calibration and keys."),
    h("p", {}, h("strong", {}, "Nothing is written yet: "), "first you see the plan."),
    refusal(local.error),
    h("form", {
      id: "restore-form", key: "form", onsubmit: (event) => {
        event.preventDefault();
        const { what, ...given } = options(event.target);
        if (what === "unique") given.unique = true;
        used("backups", given.folder ?? "");
        begin(local, "plan-restore", words[1], given);
      },
    },
    path({
      id: "folder", name: "folder", label: "Backup", want: "package", kind: "backups",
      title: "Choose a backup", value: query.get("folder") ?? before.folder ?? "",
      hint: "A folder that edl backup made, or an image of a whole storage. Empty, with \u201cOnly "
        + "what exists only once\u201d: from what edl saved of this phone before.",
    }),
    oneOf({
      id: "what", name: "what", legend: "What shall be written?",
      value: before.unique ? "unique" : "all",
      choices: [
        ["all", "All of it", ""],
        ["unique", "Only what exists only once", "Calibration, numbers and keys of this phone."],
      ],
    }),
    text({
      id: "partitions", name: "partitions", label: "Only these partitions",
      value: asTyped(before.partitions), hint: "Names with commas. Empty: all.",
    }),
    text({
      id: "skip", name: "skip", label: "Not these partitions", value: asTyped(before.skip),
      hint: "Names with commas. They stay as they are.",
    }),
    flag({
      id: "other", name: "from_other_device", checked: before.from_other_device === true,
      label: "The backup is of another phone of exactly the same model",
      hint: "Then only what such phones have in common is written.",
    }),
    loader(before, words[1]),
    submitting("restore-submit", "Show the plan", notNow(words[1]), local)),
  ];
}
