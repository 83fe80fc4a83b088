// The frame of the dashboard: which page, how all is, keys, theme.

import { ask, askIfThere } from "./api.js";
import { notice, open } from "./dialog.js";
import { badge, byId, element, fill } from "./dom.js";
import { number } from "./format.js";
import { icon } from "./icons.js";
import { again } from "./poll.js";

const EVERY_MS = 5000;
const HOW = { healthy: "good", degraded: "warn", unhealthy: "bad" };

/** Name → its title, its key after `g`, whether a phone shows it below. */
const PAGES = {
  overview: { title: "Overview", key: "o", often: true },
  live: { title: "Live", key: "l", often: true },
  dead: { title: "Dead letters", key: "d", often: true },
  entities: { title: "Entities", key: "e", often: true },
  streams: { title: "Streams", key: "s" },
  workers: { title: "Workers", key: "w" },
  preview: { title: "Preview", key: "p" },
  settings: { title: "Settings", key: "c" },
};
/** Pages that stand below another one. */
const BELOW = { event: "live", letter: "dead", jobs: "dead", entity: "entities", setup: "overview", more: "more" };

/** What pages are told: whether buttons that change something are there. */
export const context = { readOnly: false };

let leave = () => {};
let turns = 0;

function drawNav() {
  const item = ([name, { title, often }]) =>
    element(
      "li",
      { class: often ? "" : "rare" },
      element("a", { href: name === "overview" ? "#/" : `#/${name}`, "data-page": name }, icon(name), element("span", {}, title)),
    );
  const more = element("li", { class: "more" }, element("a", { href: "#/more", "data-page": "more" }, icon("more"), element("span", {}, "More")));
  fill(byId("nav"), element("ul", {}, Object.entries(PAGES).map(item), more));
}

function markNav(name) {
  for (const link of byId("nav").querySelectorAll("a")) {
    const page = link.dataset.page;
    const isHere = page === name || page === BELOW[name] || (page === "more" && PAGES[name] && !PAGES[name].often);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** A part of the address as text; one that was typed wrong stays as it is. */
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Open the page that the address names: `#/entity/sensor.kitchen`. */
async function go() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...rest] = path.split("/").map(plain);
  const wanted = name || "overview";
  const turn = (turns += 1);
  leave();
  leave = () => {};
  const main = byId("main");
  if (!(wanted in PAGES) && !(wanted in BELOW)) {
    fill(main, element("h1", {}, "There is no such page"), element("p", {}, element("a", { href: "#/" }, "To the overview")));
    return;
  }
  markNav(wanted);
  const place = element("div", { "data-ready": "" });
  try {
    const page = await import(`./pages/${wanted}.js`);
    // Who has gone on to another page meanwhile does not want this one any more.
    if (turn !== turns) return;
    fill(main, place);
    const left = (await page.show(place, { rest, search: new URLSearchParams(search), context })) ?? leave;
    if (turn !== turns) return left();
    leave = left;
  } catch (error) {
    if (turn !== turns) return;
    fill(main, element("h1", {}, "This page cannot be shown"), element("p", {}, error.message));
  }
  const heading = main.querySelector("h1");
  document.title = `${heading?.textContent ?? "habus"} · habus`;
}

async function look() {
  try {
    const health = await ask("health");
    say(HOW[health.status], health.status);
    const stats = health.dependencies.redis.status === "up" ? await ask("ledger") : null;
    count("dead", stats?.dead);
  } catch (error) {
    say("bad", error instanceof TypeError ? "no connection" : "habus does not answer");
  }
}

function say(how, text) {
  if (byId("state").textContent.endsWith(` ${text}`)) return;
  fill(byId("state"), badge(how, text));
}

function count(page, value) {
  const link = byId("nav").querySelector(`[data-page=${page}]`);
  link.querySelector(".count")?.remove();
  if (value) link.append(element("span", { class: "count" }, number(value), element("span", { class: "sr" }, " letters")));
}

function keys() {
  const row = (key, text) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, text)];
  const places = Object.entries(PAGES).flatMap(([, { title, key }]) => row(`g ${key}`, title));
  return open("Keys", (close) => [
    element("dl", { class: "facts" }, row("/", "To the filter"), row("Space", "Pause and go on, on the live page"), places, row("?", "This list")),
    element("div", { class: "row" }, element("button", { type: "button", class: "primary", onclick: () => close(), autofocus: true }, "Close")),
  ]);
}

let wasG = false;
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const page = wasG && Object.entries(PAGES).find(([, { key }]) => key === event.key);
  wasG = event.key === "g";
  if (page) location.hash = `#/${page[0]}`;
  else if (event.key === "?") keys();
  else if (event.key === "/") {
    const filter = document.querySelector("[data-filter]");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
  }
}

function nameTheme() {
  byId("theme").textContent = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[window.habusTheme.choice];
}

async function logOut() {
  await fetch("logout", { method: "POST", headers: { "X-Habus": "page" } });
  location.reload();
}

drawNav();
nameTheme();
byId("theme").addEventListener("click", () => {
  window.habusTheme.next();
  nameTheme();
});
byId("help").addEventListener("click", keys);
byId("logout").addEventListener("click", () => logOut().catch((error) => notice(error.message, "bad")));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
document.addEventListener("keydown", pressed);
addEventListener("hashchange", async () => {
  await go();
  scrollTo(0, 0);
});
try {
  const config = await askIfThere("config");
  context.readOnly = Boolean(config?.read_only);
} catch {
  // Then the server refuses, and says so.
}
again(look, EVERY_MS);
await go();
