// SPDX-License-Identifier: BSD-3-Clause
// Elements from descriptions. A view describes all that is to be seen each time; only what differs
// is changed, so that focus, typed text and what has been unfolded stay as they are.

import { visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "open", "hidden", "max"]);
const described = new WeakMap(); // element → the descriptions of its children

/**
 * Describe an element. props: attributes; `on…` functions; `key`: tells it from its siblings;
 * `live(element)`: called after each change, and the owner of what is in it.
 * children: descriptions, texts, lists of them; null and false are left out.
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: flat(children), space: null };
}

/** Describe an element of a drawing. */
export function s(tag, props, ...children) {
  return { tag, props: props ?? {}, children: flat(children), space: SVG };
}

/** Describe what is drawn of data once, and not anew each time; data is never changed. */
export function once(draw) {
  const known = new WeakMap();
  return (data) => {
    if (!known.has(data)) known.set(data, flat([draw(data)]));
    return known.get(data);
  };
}

// What is left out keeps its place, so that its siblings are the same elements with and without it.
function flat(children) {
  return children.flat(Infinity).map((child) => {
    if (child === null || child === undefined || child === false || child === "") return null;
    return typeof child === "object" ? child : { text: visible(child) };
  });
}

/** Make the children of element what is described. */
export function render(element, ...children) {
  const wanted = flat(children);
  if (!described.has(element)) element.replaceChildren();
  const before = described.get(element) ?? [];
  const left = new Map();
  for (const entry of before) left.set(entry.name, entry);
  const now = [];
  wanted.forEach((made, index) => {
    if (made === null) return;
    const name = named(made, index);
    const known = left.get(name);
    left.delete(name);
    const node = known ? known.node : create(made);
    if (known) patch(node, known.made, made);
    now.push({ name, made, node });
  });
  for (const { node } of left.values()) node.remove();
  now.forEach(({ node }, index) => {
    if (element.childNodes[index] !== node) {
      element.insertBefore(node, element.childNodes[index] ?? null);
    }
  });
  described.set(element, now);
}

function named(made, index) {
  return `${made.tag ?? "#"} ${made.props?.key ?? `at ${index}`}`;
}

function create(made) {
  if (made.tag === undefined) return document.createTextNode(made.text);
  const node = made.space
    ? document.createElementNS(made.space, made.tag) : document.createElement(made.tag);
  patch(node, { props: {}, children: [] }, made);
  return node;
}

function patch(node, before, made) {
  if (before === made) return;
  if (made.tag === undefined) {
    if (node.data !== made.text) node.data = made.text;
    return;
  }
  for (const key of new Set([...Object.keys(before.props), ...Object.keys(made.props)])) {
    const value = made.props[key];
    if (key.startsWith("on")) node[key] = value ?? null;
    else if (key !== "key" && key !== "live" && before.props[key] !== value) set(node, key, value);
  }
  if (made.props.live) made.props.live(node);
  else render(node, made.children);
}

function set(node, key, value) {
  if (PROPERTIES.has(key) && key in node) node[key] = value ?? (key === "value" ? "" : false);
  else if (value === null || value === undefined || value === false) node.removeAttribute(key);
  else node.setAttribute(key, value === true ? "" : visible(value));
}
