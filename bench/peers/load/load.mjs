// What every load program has in common; figures as JSON:
//   node PEER.mjs submit PORT TASKS CLIENTS CONNECTIONS
//   node PEER.mjs tasks PORT TASKS SLOTS
//   node PEER.mjs latency PORT TASKS
//   node PEER.mjs queued PORT TASKS    asks its parent for the server's "memory" and "restart"
// A peer gives these; each is durable, as far as the peer can make it so, when its promise is kept:
//   submitter() → on a connection of its own: async () => one task accepted; also many at once
//   submitAll(tasks) → as many accepted, in the batches that suit the peer best
//   work(slots, ended) → runs what comes, doing nothing, so many at once; `ended(id)` once the task's end is recorded
//   held(port) → on a new connection: how many tasks wait
//   leave?() → no connection is left
// Must never count what isn't acknowledged.

import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** npm's packages are not beside these programs. */
export const required = createRequire(join(process.env.PEERS_NODE ?? ".", "x.js"));

/** As many run first at most, uncounted: they pay for connections and caches. */
const WARM_UP = 500;
const WARM_UP_LATENCY = 200;
/** How often a server is killed, and how soon it is asked again then: as Baton's own bench does. */
const RESTARTS = 3;
const ASK_EVERY_MS = 2;
/** A server that isn't back by then won't be. */
const READY_WITHIN_S = 300;

// Its parent shows the last lines: these say why, a stack doesn't.
process.on("uncaughtException", (error) => {
  console.error(error?.message || error);
  process.exit(1);
});

export async function measure(connect) {
  const [what, port, tasks, ...more] = [process.argv[2], ...process.argv.slice(3).map(Number)];
  const measures = { submit, tasks: throughput, latency, queued };
  const peer = await connect(port, { latency: what === "latency" });
  console.log(JSON.stringify(await measures[what](peer, tasks, ...more)));
  process.exit(0);
}

async function submit(peer, tasks, clients, connections) {
  const submitters = await Promise.all(Array.from({ length: connections }, () => peer.submitter()));
  let left = tasks;
  const client = async (once) => {
    while (left-- > 0) await once();
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: clients }, (_, n) => client(submitters[n % connections])));
  return { per_s: tasks / seconds(began) };
}

async function throughput(peer, tasks, slots) {
  let [left, all] = [0, null];
  const ended = () => --left === 0 && all();
  await peer.work(slots, ended);
  const complete = async (count) => {
    left = count;
    const last = new Promise((resolve) => (all = resolve));
    await peer.submitAll(count);
    await last;
  };
  await complete(Math.min(WARM_UP, Math.ceil(tasks / 10)));
  const began = performance.now();
  await complete(tasks);
  return { per_s: tasks / seconds(began) };
}

async function latency(peer, tasks) {
  let seen = null;
  await peer.work(1, () => seen());
  const once = await peer.submitter();
  const times = [];
  const warm = Math.min(WARM_UP_LATENCY, Math.ceil(tasks / 10));
  for (let n = 0; n < warm + tasks; n++) {
    const began = performance.now();
    const end = new Promise((resolve) => (seen = resolve));
    await once();
    await end;
    if (n >= warm) times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
  return { p50_ms: at(0.5), p99_ms: at(0.99) };
}

async function queued(peer, tasks) {
  const began = performance.now();
  await peer.submitAll(tasks);
  const took = seconds(began);
  // While its clients are there: what PostgreSQL shares counts where a process has touched it.
  const mib = await asked("memory");
  await peer.leave?.();
  const times = [];
  for (let n = 0; n < RESTARTS; n++) times.push(await restarted(peer, tasks));
  times.sort((a, b) => a - b);
  return { seconds: took, mib, ready_ms: times[RESTARTS >> 1] };
}

/** Milliseconds from the start after `kill -9` until a client is told that all tasks are there. */
async function restarted(peer, tasks) {
  const { port, began } = await asked("restart");
  const since = () => process.hrtime(began).reduce((s, ns) => s * 1e3 + ns / 1e6);
  for (;;) {
    const held = await peer.held(port).catch((error) => error);
    if (held === tasks) return since();
    if (!(held instanceof Error)) throw new Error(`${held} tasks are left of ${tasks}`);
    if (since() > READY_WITHIN_S * 1e3) throw held;
    await sleep(ASK_EVERY_MS);
  }
}

function asked(what) {
  return new Promise((resolve) => {
    process.once("message", resolve);
    process.send(what);
  });
}

function seconds(began) {
  return (performance.now() - began) / 1e3;
}
