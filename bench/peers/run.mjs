// The same work on Baton and its peers, alternating in one run: `node run.mjs`, set by the environment:
//   BATON_BIN_DIR  where `baton` is          PEERS_TOOLS  what setup.sh filled
//   PEERS_DIR      on which disk             PEERS_JSON   a file for all figures
//   ROUNDS=5       medians of so many        SCALE=1      so many times the tasks
//   ROWS=a,b       only these                SYNCS=0      leave out the count of syncs
// Must never leave a system out silently, nor let one have what another hasn't: each measurement has a new server, a new
// directory on the same disk, and nothing else beside it.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROWS, SYNC_ROWS } from "./rows.mjs";
import { plain } from "./plain.mjs";
import { COUNTING, ask, clear, end, endAll, going, kill, memory, place, run } from "./processes.mjs";
import { systems as peers } from "./systems.mjs";
import { lines, markdown, rounded } from "./table.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const tools = process.env.PEERS_TOOLS ?? join(here, "../../target/bench-tools");
const disk = process.env.PEERS_DIR ?? join(here, "../../target/bench-peers");
const baton = join(process.env.BATON_BIN_DIR ?? join(here, "../../target/release"), "baton");
const rounds = Number(process.env.ROUNDS ?? 5);
const scale = Number(process.env.SCALE ?? 1);
const rows = process.env.ROWS ? ROWS.filter(({ name }) => process.env.ROWS.split(",").includes(name)) : ROWS;
/** Sequences whose difference is counted. */
const [FEW, MANY] = [50, 250];

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(name, () => endAll().finally(() => process.exit(130)));
}

const conditions = {};
const ours = { name: "Baton", queue: true, durable: true, missing: existsSync(baton) ? null : `${baton} is not there` };
const all = [ours, ...peers(tools), ...plain];

/** Figures of Baton's own bench, which starts its services and ends them. */
async function batonBench(dir, args, counted) {
  const words = args.map(String);
  // What follows `--` is the task's.
  const at = words.includes("--") ? words.indexOf("--") : words.length;
  const bench = [baton, "--output", "json", "bench", ...words.slice(0, at), "--dir", dir, ...words.slice(at)];
  const before = counted ? COUNTING(counted) : [];
  const report = JSON.parse(await run([...before, ...bench], { cwd: dir, alone: !counted }));
  const { machine, system, disk, durability, services } = report.conditions;
  Object.assign(conditions, { machine, system, disk });
  Object.assign(ours, { version: services.replace(", started for this", ""), settings: durability });
  return report.figures;
}

/** Figures of a peer's load program on a new server, of which it may ask for its memory and for its `kill -9` and restart. */
async function peerBench(peer, dir, args, counted) {
  await peer.prepare?.(dir);
  let server = await peer.start(dir, { counted });
  const questions = {
    memory: async () => memory(server.running),
    async restart() {
      await kill(server.running);
      await going();
      // This clock is the same in all processes.
      const began = process.hrtime();
      server = await peer.start(dir);
      return { began, port: server.port };
    },
  };
  try {
    const [what, ...more] = args.map(String);
    const env = { ...process.env, PEERS_NODE: join(tools, "node"), NODE_ENV: "production" };
    const program = join(here, "load", `${peer.load}.mjs`);
    return JSON.parse(await run([process.execPath, program, what, String(server.port), ...more], { env, answer: (question) => questions[question]() }));
  } finally {
    await end(server.running);
  }
}

/** In a new directory, when nothing of the one before is left to be written. */
async function apart(work) {
  await going();
  const dir = place(disk);
  ask(["sync"]);
  try {
    return await work(dir);
  } finally {
    clear(dir);
  }
}

async function once(row, system) {
  const count = Math.max(10, Math.round(row.tasks[system.name] * scale));
  if (system === ours) return apart(async (dir) => row.figuresOfBaton(await batonBench(dir, row.baton(count))));
  if (!system.queue) return apart((dir) => system.bench(count, dir, row));
  return apart((dir) => peerBench(system, dir, row.load(count)));
}

/** Figures of all rounds, or why there are none. Systems take turns, and another one begins in each round. */
async function measure() {
  const measured = Object.fromEntries(rows.map((row) => [row.name, {}]));
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      const turns = all.filter(({ name }) => name in row.tasks);
      for (let turn = 0; turn < turns.length; turn++) {
        const system = turns[(turn + round) % turns.length];
        const figures = measured[row.name];
        if (typeof figures[system.name] === "string") continue;
        if (system.missing) {
          figures[system.name] = `not run: ${system.missing}`;
          continue;
        }
        try {
          const found = await once(row, system);
          (figures[system.name] ??= []).push(found);
          say(round, row, system, Object.entries(found).map(([name, value]) => `${rounded(value)} ${row.figures[name]}`).join(", "));
        } catch (error) {
          figures[system.name] = `failed: ${error.message}`;
          say(round, row, system, figures[system.name]);
        }
      }
    }
  }
  return measured;
}

function say(round, row, { name }, text) {
  console.error(`peers: round ${round + 1} of ${rounds}, ${row.name}, ${name}: ${text}`);
}

/** How many syncs each acknowledged step takes, by strace, outside the measured rounds. */
async function syncs(system, rows) {
  const cells = [];
  for (const row of rows) {
    if (!system.queue) cells.push("–");
    else if (system.missing) cells.push("not run");
    else
      try {
        const counts = [];
        for (const count of [FEW, MANY]) counts.push(await apart((dir) => countOf(system, row, dir, count)));
        cells.push(rounded((counts[1] - counts[0]) / (row.ran(MANY) - row.ran(FEW))));
      } catch (error) {
        cells.push(`failed: ${error.message}`);
      }
  }
  if (rows.length > 0) console.error(`peers: syncs, ${system.name}: ${cells.join(", ")}`);
  return { name: system.name, version: system.missing ? "–" : system.version, settings: system.missing ?? system.settings, cells };
}

async function countOf(system, row, dir, count) {
  const file = join(dir, "strace");
  if (system === ours) await batonBench(dir, row.baton(count), file);
  else await peerBench(system, dir, row.load(count), file);
  // Columns: share, seconds, microseconds a call, calls, errors if there were any, name.
  const calls = readFileSync(file, "utf8").split("\n").map((line) => line.trim().split(/\s+/));
  return calls.filter((words) => /sync/.test(words.at(-1))).reduce((sum, words) => sum + Number(words[3]), 0);
}

const measured = await measure();
const counted = process.env.SYNCS === "0" ? [] : SYNC_ROWS;
const traced = [];
for (const system of all) traced.push(await syncs(system, counted));
// What was cut short is no report.
await going();
const report = {
  conditions: { ...conditions, rounds, ...(scale === 1 ? {} : { scale }), node: process.version },
  systems: all.map(({ name, version, settings, durable, queue, missing }) => ({ name, version, settings, durable, queue, missing })),
  lines: lines(rows, all, measured),
  rounds: measured,
  syncs: traced.map((line) => ({ ...line, names: counted.map(({ text }) => text) })),
};
console.log(markdown(report));
if (process.env.PEERS_JSON) writeFileSync(process.env.PEERS_JSON, `${JSON.stringify(report, null, 2)}\n`);
const failures = Object.values(measured).flatMap((figures) => Object.values(figures)).filter((found) => String(found).startsWith("failed"));
process.exit(failures.length > 0 ? 1 : 0);
