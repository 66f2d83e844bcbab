// SPDX-License-Identifier: BSD-3-Clause
// What jobs have found out and done: results as docs/json.md has them, for people.

import { h } from "./dom.js";
import { told } from "./fates.js";
import { storageMap } from "./map.js";
import { card, facts, findings, table } from "./parts.js";
import { to } from "./route.js";
import { count, list, sentence, size, wait, when } from "./text.js";

/** `info`. */
export function identity(result) {
  const { secure_boot: secure, programmer, storage: flash, health: wear } = result;
  return [
    facts([
      ["Serial number", result.serial],
      ["Chip", result.chip_names?.length ? result.chip_names.join(", ") : result.chip],
      ["May be made by", list(result.makers ?? [])],
      ["Takes only what its maker signed", secure?.fused === null ? null
        : `${secure.fused ? "yes" : "no"}: ${secure.how}`],
      ["Maker\u2019s key", result.key],
      ["Digest of that key", result.pk_hash && h("code", {}, result.pk_hash)],
      ["Hardware id", result.hwid && h("code", {}, result.hwid)],
      ["Storage", flash && [flash.type.toUpperCase(), flash.maker, flash.product, size(flash.bytes),
        count(flash.luns.length, "LUN")].filter(Boolean).join(", ")],
      ["How worn the storage is", wear?.verdict
        && `${wear.verdict}; life used: ${[wear.life_a, wear.life_b].filter(Boolean).join(" and ")}`],
      ["Programmer", programmer && [programmer.protocol, programmer.build_date].filter(Boolean)
        .join(", ")],
    ]),
    programmer?.locks?.length > 0 && h("p", {}, h("strong", {}, "The maker has locked this loader: "),
      list(programmer.locks.map((lock) => `${lock.function} (${lock.maker})`)),
      ". Only the maker\u2019s service can lift that; edl does not get around it."),
  ];
}

/** `printgpt`. */
export function storage(result) {
  return storageMap(result);
}

const CONDITIONS = {
  sound: "done", readable: "done", worn: "unready", "read-only": "failed", unprovisioned: "unready",
  dead: "failed",
};

/** `doctor --storage`. */
export function health(result) {
  const odd = result.luns.flatMap((lun) => lun.odd.map((spot) => ({ ...spot, lun: lun.lun })));
  return [
    card(CONDITIONS[result.condition] ?? "unready",
      `Storage: ${result.condition === "readable" ? "it reads well" : result.condition}`,
      h("p", {}, h("strong", {}, result.sentence)),
      h("p", {}, result.meaning),
      result.health && h("p", {}, sentence(result.health), ".")),
    result.advice.length > 0 && [
      h("p", {}, "What to do next:"), h("ul", {}, result.advice.map((text) => h("li", {}, text))),
    ],
    result.failed.map((lun) => h("p", {}, `LUN ${lun.lun} does not open: ${lun.said}`)),
    odd.length > 0 && table({
      caption: "Places that do not read well",
      heads: ["Place", "State", "Time", "What was seen"],
      rows: odd.map((spot) => [
        `LUN ${spot.lun}, sector ${spot.start_sector} (${count(spot.sectors, "sector")})`,
        spot.state, spot.seconds === null ? "" : `${spot.seconds.toFixed(1)} s`, spot.said,
      ]),
    }),
  ];
}

const VERDICTS = {
  ready: ["done", "It should start"], doubtful: ["unready", "It may start"],
  "not ready": ["failed", "It would not start"], unknown: ["unready", "That could not be found out"],
};

/** `boot-check`, and `boot` of what was written. */
export function bootCheck(result) {
  const [state, words] = VERDICTS[result.verdict] ?? ["unready", result.verdict];
  return [
    card(state, words,
      result.slot && h("p", {}, `It would start slot ${result.slot}.`),
      result.expect.length > 0 && h("ul", {}, result.expect.map((each) => h("li", {}, each.text)))),
    result.findings.length > 0 && findings(result.findings,
      { title: "What speaks for and against it", stops: false }),
    result.images.length > 0 && h("details", {},
      h("summary", {}, `The boot chain: ${count(result.images.length, "image")}`),
      table({
        caption: "The boot chain: what starts one after the other",
        heads: ["Partition", "What it is", "State", "Why"],
        rows: result.images.map((image) => [image.name, image.role, image.state, image.reason]),
      })),
    result.unread.length > 0 && [
      h("p", {}, "Could not be looked at:"),
      h("ul", {}, result.unread.map((text) => h("li", {}, text))),
    ],
  ];
}

/** `rawprogram`, `restore`, `resume`, and whatever has written. */
export function written(result) {
  const back = result.came_back;
  return [
    card("done", "Done", h("p", { id: "summary" }, h("strong", {}, amount(result))),
      h("p", {}, result.verified_how
        ? `${size(result.verified_bytes)} were compared with what was sent, and are equal `
          + `(${result.verified_how}).`
        : "It was not verified: nobody has compared what is there with what was sent.")),
    facts([
      ["Was there already", result.unchanged_bytes > 0 && size(result.unchanged_bytes)],
      ["There from the interrupted run", result.resumed_bytes > 0 && size(result.resumed_bytes)],
      ["Erased", result.erased_bytes > 0 && size(result.erased_bytes)],
      ["Equal only when written again", list(result.rewritten ?? [])],
      ["Left as it is, as it exists only once", list(result.kept ?? [])],
      ["Saved before", result.saved], ["Files that were read", list(result.files ?? [])],
      ["Time", `${wait(result.seconds)}${result.pace ? `; ${result.pace}` : ""}`],
    ]),
    back && h("section", { "aria-labelledby": "back" },
      h("h2", { id: "back" }, "After the restart"), h("p", {}, back.text),
      back.todo && h("p", {}, back.todo)),
    result.virtual_boot && h("p", { id: "virtual-boot" }, result.virtual_boot.boots
      ? "The virtual phone starts."
      : `The virtual phone does not start: ${list(result.virtual_boot.findings)}`),
    result.boot && h("section", { "aria-labelledby": "boot" },
      h("h2", { id: "boot" }, "Will it start?"), bootCheck(result.boot)),
    parts(result.parts),
    leftOut(result.left_out),
    h("section", { "aria-labelledby": "afterwards" },
      h("h2", { id: "afterwards" }, "Afterwards"),
      h("p", {}, "Unplug the phone, and take away what forced it into EDL mode. The first start can "
        + "take 15 minutes.")),
  ];
}

function amount(result) {
  if (!result.written_bytes) return "Nothing had to be written: it was all there already.";
  const words = [`${size(result.written_bytes)} were written`];
  if (result.verified_bytes > 0 && result.verified_how) words.push("and verified");
  return `${words.join(" ")}.`;
}

/** What became of each part of a job. */
export function parts(rows) {
  if (!rows?.length) return null;
  return h("section", { "aria-labelledby": "parts", key: "parts" },
    h("h2", { id: "parts" }, "What became of each part"),
    table({
      id: "parts-table", caption: "In the order in which they were written",
      heads: ["Partition", "What became of it", "Size"],
      rows: rows.map((row) => [row.part, told(row.state), size(row.bytes)]),
    }));
}

/** What was not used, and why. */
export function leftOut(rows) {
  if (!rows?.length) return null;
  return h("section", { "aria-labelledby": "left-out", key: "left-out" },
    h("h2", { id: "left-out" }, "What is left out"),
    table({
      caption: "What is in the package, and not used", heads: ["What", "Why"],
      rows: rows.map((row) => [row.what, sentence(row.reason)]),
    }));
}

/** `backup`. */
export function backup(result) {
  const lost = result.lost.length > 0;
  return [
    card(lost ? "unready" : "done", lost ? "Saved, but not all of it" : "Saved",
      h("p", { id: "summary" }, h("strong", {}, `${size(result.saved_bytes)} of the phone are saved.`)),
      h("p", {}, {
        digest: "Compared with digests that the phone computed.", "read twice": "Read twice, and equal.",
      }[result.verified] ?? "Not verified.")),
    facts([
      ["Folder", result.folder], ["Phone", result.serial], ["Chip", result.chip],
      ["Takes on the disk", size(result.disk_bytes)], ["Blank", size(result.blank_bytes)],
      ["Could not be read as a whole", list(result.lost)], ["Time", wait(result.seconds)],
    ]),
    leftOut(result.left_out),
  ];
}

/** `verify`. */
export function compared(result) {
  return [
    card(result.equal ? "done" : "unready", result.equal ? "The same" : "Not the same",
      h("p", {}, `${size(result.bytes)} were compared${result.how ? ` (${result.how})` : ""}.`),
      result.kept.length > 0 && h("p", {}, `The phone\u2019s own, not compared: ${list(result.kept)}.`)),
    table({
      caption: "Each part of the package", heads: ["Partition", "Result"],
      rows: result.parts.map((row) =>
        [row.label, row.problem ?? told(row.equal ? "equal" : "different")]),
    }),
  ];
}

/** `backups`. */
export function backups(result, phones) {
  if (!result.backups.length) {
    return h("p", { id: "no-backups" }, "Nothing has been saved on this computer yet. Begin at a phone: "
      + "\u201cBack up\u201d.");
  }
  const use = (row) => {
    const phone = phones.find((each) => each.mode === "edl" && each.serial === row.serial);
    if (row.state === "unfinished") {
      return phone
        ? h("a", {
          href: `${to("phone", phone.id, "backup")}?resume=1&folder=${encodeURIComponent(row.folder)}`,
          "aria-label": `Go on with the backup ${row.folder}`,
        }, "Go on with it\u2026")
        : "Plug its phone in, in EDL mode, to go on with it.";
    }
    if (row.state !== "complete") return "";
    return phone
      ? h("a", {
        href: `${to("phone", phone.id, "restore")}?folder=${encodeURIComponent(row.folder)}`,
        "aria-label": `Write ${row.folder} back to its phone, ${row.serial}`,
      }, "Write it back to this phone\u2026")
      : "Plug its phone in, in EDL mode, to write it back.";
  };
  return table({
    id: "backups", caption: "The newest first",
    heads: ["Folder", "Phone", "Made", "Kind", "On the disk", "State", "What can be done"],
    rows: result.backups.map((row) => [
      row.folder, [row.serial, row.chip].filter(Boolean).join(", "), when(row.made), row.form,
      size(row.disk_bytes), row.state, use(row),
    ]),
  });
}
