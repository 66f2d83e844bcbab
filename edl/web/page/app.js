// SPDX-License-Identifier: BSD-3-Clause
// The page: which view is shown, and what stands around it.

import { h, render } from "./dom.js";
import * as job from "./job.js";
import * as lists from "./lists.js";
import * as packages from "./package.js";
import * as phone from "./phone.js";
import * as phones from "./phones.js";
import * as questions from "./questions.js";
import { here, to } from "./route.js";
import { milestone, say } from "./say.js";
import * as saving from "./saving.js";
import * as station from "./station.js";
import { jobs, start, store, watch } from "./store.js";
import { sentence } from "./text.js";
import { modeOf, phoneName, SMALL } from "./words.js";

const VIEWS = {
  phones, job, station, backups: lists, jobs: lists, check: packages.check,
};
const OF_PHONE = { package: packages, backup: saving, restore: saving };
const PLACES = [["phones", "Phones"], ["station", "Station"], ["backups", "Backups"], ["jobs", "Jobs"]];

let at = null; // the address whose view is shown
let local = {}; // what the view remembers for itself
let opened = false; // the server has told its state once

const element = (id) => document.getElementById(id);

function viewOf(route) {
  if (route.view === "phone") return OF_PHONE[route.words[2]] ?? phone;
  return VIEWS[route.view] ?? phones;
}

const head = () => element("main").querySelector("h1");

function current(key, { view }) {
  if (view === key) return "page";
  return { phone: "phones", check: "phones", job: "jobs" }[view] === key ? "true" : null;
}

function show() {
  const route = here();
  const view = viewOf(route);
  render(element("nav"), h("ul", {}, PLACES.map(([key, words]) => h("li", {},
    h("a", { href: to(key), "aria-current": current(key, route) }, words)))));
  render(element("banners"), banners());
  render(element("link"), { open: "Connected", new: "Connecting\u2026" }[store.link] ?? "No connection");
  element("link").dataset.state = store.link;
  render(element("version"), store.version && `Version ${store.version}.`);
  if (store.link === "open") opened = true;
  if (store.link === "refused" || !opened) {
    if (store.link !== "new") render(element("main"), closed());
    return;
  }
  const moved = at !== location.hash;
  if (moved) enter(view, route);
  const focused = element("main").contains(document.activeElement);
  // a view of another address is another page: nothing of it is used again
  render(element("main"),
    h("div", { key: at, class: "view", "data-view": at }, view.view(route, local)));
  if (focused && document.activeElement === document.body) head()?.focus({ preventScroll: true });
  const asks = jobs().some((each) => each.question) ? "(!) " : "";
  document.title = `${asks}${view.title(route)} \u2013 edl`;
  if (moved) arrive();
  questions.tend(job.nameOf);
}

let first = true;

function enter(view, route) {
  at = location.hash;
  local = {};
  view.enter?.(route);
}

/** Put the focus at the head of the new view; not when the page has just been loaded. */
function arrive() {
  if (!first) {
    head()?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  first = false;
}

function banners() {
  const { view, words } = here();
  const elsewhere = questions.banner(job.nameOf).filter((each) =>
    !(view === "job" && each.props["data-job"] === words[1]));
  return [
    opened && store.link === "lost" && h("div", { class: "banner lost", key: "lost", id: "lost" },
      h("p", {}, h("strong", {}, "edl web does not answer."), " It was closed, or this computer slept. "
        + "What is shown is as it was. Jobs that had begun go on or stop by themselves; nothing is "
        + "lost. This page tries again every two seconds.")),
    elsewhere,
  ];
}

function closed() {
  if (store.link === "refused") {
    return h("div", { id: "refused", key: "refused" },
      h("h1", { tabindex: "-1" }, "Please use the address that edl web printed"),
      h("p", {}, "This page was opened without its key, or edl web was started anew and has another "
        + "one now. Look at the terminal in which ", h("code", {}, "edl web"), " runs, and open the "
        + "whole address that it shows there (it begins with http://127.0.0.1 and has ",
      h("code", {}, "token="), " in it)."),
      h("p", {}, "The browser must accept cookies of 127.0.0.1 for that: they keep the key."));
  }
  return h("div", { id: "nobody", key: "nobody" },
    h("h1", { tabindex: "-1" }, "edl web does not answer"),
    h("p", {}, "Is it still running in its terminal? This page tries again every two seconds."));
}

/** Tell aloud what is new. */
function news(what, before, now) {
  if (what === "link") {
    if (now === "lost" && opened) say("The connection to edl web is lost.", true);
    if (now === "open" && before === "lost") say("The connection is back.");
    return;
  }
  if (what === "job") {
    const told = SMALL.has(now.kind) ? null : milestone(before, now, job.nameOf(now));
    if (told) say(...told);
    return;
  }
  const were = new Map(before.map((each) => [each.id, each.mode]));
  for (const each of now) {
    if (were.get(each.id) !== each.mode) say(`${sentence(phoneName(each))}: ${modeOf(each)}.`);
    were.delete(each.id);
  }
  for (const each of before) if (were.has(each.id)) say(`${sentence(phoneName(each))} is gone.`);
}

addEventListener("hashchange", show);
element("skip-link").onclick = (event) => { // the address is the view's
  event.preventDefault();
  element("main").focus();
};
watch(show);
start(news);
show();
