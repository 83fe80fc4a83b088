// The dashboard: asks again and again, and shows what it hears.

import { ask } from "./api.js";
import { showAttention } from "./attention.js";
import { byId } from "./dom.js";
import { seconds } from "./format.js";
import { showPipeline } from "./pipeline.js";
import { showEvents, showLedger, showStreams, showWorkers } from "./tables.js";

const EVERY_MS = 2000;
const SIGN = { healthy: "●", degraded: "▲", unhealthy: "✕" };
const CLASS = { healthy: "good", degraded: "warn", unhealthy: "bad" };

/** Question → where its answer goes. Health answers also when Redis is away, the others do not. */
const QUESTIONS = {
  ledger: { path: "ledger", show: showLedger },
  streams: { path: "streams", show: showStreams },
  stats: { path: "events/stats" },
  recent: { path: "events/recent?stream=enriched&limit=15", show: showEvents },
};

function say(text, how) {
  const state = byId("state");
  if (state.textContent !== text) state.textContent = text;
  state.className = how;
}

async function look() {
  const health = await ask("health");
  const seen = { health };
  const questions = Object.entries(QUESTIONS);
  const answers = await Promise.allSettled(questions.map(([, { path }]) => ask(path)));
  answers.forEach((answer, index) => {
    const [name, { show }] = questions[index];
    if (answer.status === "rejected") return;
    seen[name] = answer.value;
    show?.(answer.value);
  });
  showWorkers(health);
  showPipeline(seen);
  showAttention(seen);
  say(`${SIGN[health.status]} ${health.status}`, CLASS[health.status]);
  byId("version").textContent = `habus ${health.version}, up for ${seconds(health.uptime)}`;
}

async function keepLooking() {
  if (!document.hidden) {
    try {
      await look();
    } catch (error) {
      say(`✕ habus does not answer; trying again. ${error.message}`, "bad");
    }
  }
  setTimeout(keepLooking, EVERY_MS);
}

document.addEventListener("visibilitychange", () => document.hidden || look().catch(() => {}));
keepLooking();
document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await fetch("logout", { method: "POST", headers: { "X-Habus": "page" } });
  location.reload();
});
