// SPDX-License-Identifier: BSD-3-Clause
// The map of the storage: each LUN as boxes in order of place, to scale as far as the smallest can
// still be seen; and the same as a table.

import { h, once, s } from "./dom.js";
import { FATES, filled, swatch } from "./fates.js";
import { table } from "./parts.js";
import { count, size } from "./text.js";

const LEAST = 0.6; // percent of the width that a box has at least, where there are few
const LEAST_SHARE = 50; // percent of the width, that boxes take which are drawn wider than they are
const NAMED = 7; // percent of the width from which a name fits into a box
const SIGNED = 3.2;

/** Boxes for all sectors of a LUN (docs/json.md, `a table`), in order and without gaps. */
export function boxes(lun) {
  const rows = [...lun.partitions].sort((a, b) => a.first_sector - b.first_sector);
  const total = lun.sectors ?? Math.max(0, ...rows.map((row) => row.last_sector + 1));
  const found = [];
  let at = 0;
  for (const row of rows) {
    const start = Math.max(at, row.first_sector);
    const end = Math.min(row.last_sector + 1, total);
    if (end <= start) continue; // no size, or in another or behind the end
    if (start > at) found.push({ name: "", start: at, sectors: start - at, fate: "free" });
    const fate = row.unique ? "unique" : "partition";
    found.push({ name: row.name, start, sectors: end - start, fate });
    at = end;
  }
  if (at < total) found.push({ name: "", start: at, sectors: total - at, fate: "free" });
  return placed(found, total);
}

/** Give each box left and width in percent; the smallest are drawn wider than they are. */
function placed(found, total) {
  const least = Math.min(LEAST, LEAST_SHARE / found.length);
  const widths = found.map((box) => (100 * box.sectors) / Math.max(total, 1));
  const small = new Set([...widths.keys()].filter((index) => widths[index] < least));
  let scale = 1;
  for (;;) { // what the small ones take, the others give; some may become small by that
    const given = widths.reduce((sum, width, index) => sum + (small.has(index) ? 0 : width), 0);
    scale = given ? (100 - least * small.size) / given : 0;
    const more = [...widths.keys()].filter((i) => !small.has(i) && widths[i] * scale < least);
    if (!more.length) break;
    more.forEach((index) => small.add(index));
  }
  let left = 0;
  return found.map((box, index) => {
    const width = small.has(index) ? least : widths[index] * scale;
    left += width;
    return { ...box, left: left - width, width, wider: small.has(index) };
  });
}

/** The map of all LUNs: result of `printgpt`. */
export const storageMap = once((result) => {
  const several = result.luns.length > 1;
  return [
    h("ul", { class: "legend", "aria-label": "What the signs mean" },
      h("li", {}, swatch("unique"),
        "exists only once, on this phone alone: calibration, numbers, keys"),
      h("li", {}, swatch("partition"), "a partition: a named part of the storage"),
      h("li", {}, swatch("free"), FATES.free.words)),
    several && h("p", { class: "soft" },
      "A LUN is a part of the storage that looks like a disk of its own."),
    result.luns.map((lun) => drawn(lun)),
  ];
});

function drawn(lun) {
  const found = boxes(lun);
  const bytes = (lun.sectors ?? 0) * lun.sector_bytes;
  const unique = lun.partitions.filter((row) => row.unique).length;
  const many = lun.partitions.length;
  const told = many
    ? `${size(bytes)}; ${count(many, "partition")}, ${unique} of them exist only once.`
    : `${size(bytes)}; no partition table was found.`;
  const wider = Math.max(0, ...found.filter((box) => box.wider).map((box) => box.sectors + 1));
  const slot = lun.active_slot ? ` The phone starts slot ${lun.active_slot}.` : "";
  return h("section", { class: "lun", key: `lun ${lun.lun}`, "data-lun": lun.lun },
    h("h3", { id: `lun-${lun.lun}` }, `LUN ${lun.lun}`),
    s("svg", { class: "strip", role: "img", "aria-label": `LUN ${lun.lun} drawn to scale: ${told}` },
      found.map((box) => boxed(box, lun.sector_bytes))),
    h("p", { class: "soft" }, told, slot,
      wider > 0 && ` What is smaller than ${size(wider * lun.sector_bytes)} is drawn wider than it is.`),
    tableTrouble(lun),
    many > 0 && h("details", { key: "rows" },
      h("summary", {}, `${count(many, "partition")} of LUN ${lun.lun}, as a table`),
      table({
        caption: `Partitions of LUN ${lun.lun}, in the order of their place`,
        heads: ["Partition", "Size", "From sector", "To sector", "Kind"], name: 0,
        rows: lun.partitions.map((row) => [
          row.name, size(row.sectors * lun.sector_bytes), row.first_sector, row.last_sector,
          row.unique ? [swatch("unique"), FATES.unique.words] : "",
        ]),
      })));
}

function boxed(box, unit) {
  const { tone, pattern, sign } = FATES[box.fate];
  const told = `${box.name || FATES.free.words}: ${size(box.sectors * unit)}`;
  return s("svg", { x: `${box.left}%`, width: `${box.width}%`, height: "64" },
    s("title", {}, told),
    filled(tone, pattern),
    s("rect", { class: "edge", width: "100%", height: "100%" }),
    box.width >= SIGNED && s("text", { x: "4", y: "18" }, sign),
    box.width >= NAMED && s("text", { class: "name", x: "4", y: "40" }, box.name));
}

function tableTrouble(lun) {
  const bad = [["main", lun.primary], ["backup", lun.backup]].flatMap(([which, copy]) =>
    copy.problems.map((problem) => `The ${which} partition table: ${problem}.`));
  return lun.partitions.length > 0 && bad.length > 0
    && h("ul", { class: "troubles" }, bad.map((text) => h("li", {}, text)));
}
