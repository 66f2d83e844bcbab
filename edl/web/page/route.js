// SPDX-License-Identifier: BSD-3-Clause
// Which view is shown: the part of the address behind `#/`.

/** Where that address leads: its words, the first names the view. */
export function here() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const words = path.split("/").filter(Boolean).map(decoded);
  return { view: words[0] ?? "phones", words, query: new URLSearchParams(query ?? "") };
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

/** The address of a view: to("phone", "usb 1-4", "backup"). */
export function to(...words) {
  return `#/${words.map(encodeURIComponent).join("/")}`;
}

/** Show a view. */
export function go(...words) {
  location.hash = to(...words);
}
