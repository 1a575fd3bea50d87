// Processes that are started for a measurement, and places where they keep what they store. All of them end, and all of
// it goes, when this program ends in whatever way. Must never end a process that it didn't start.

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

const READY_WITHIN_MS = 30_000;
const END_WITHIN_MS = 15_000;
/** Between two looks whether a server is there or gone. */
const LOOK_EVERY_MS = 2;

// By the process that leads each group: the signal on which it ends in good order, and whether it then ends the others itself.
const groups = new Map();
let stopping = false;
const places = new Set();

// The last resort, when there is no time to wait for anything.
process.on("exit", () => {
  for (const group of groups.keys()) signal(group, "SIGKILL");
  for (const place of places) rmSync(place, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});

/** Ends all that runs, in good order if it does so soon; nothing is started any more. */
export async function endAll() {
  stopping = true;
  for (const [pid, { ending, alone }] of groups) signal(pid, ending, { alone });
  const until = Date.now() + END_WITHIN_MS;
  while (groups.size > 0 && Date.now() < until) await sleep(20);
}

function signal(pid, name, { alone = false } = {}) {
  try {
    process.kill(alone ? pid : -pid, name);
  } catch {
    // It has ended by itself.
  }
}

/** Comes back unless all is being ended. */
export async function going() {
  if (stopping) await new Promise(() => {});
}

/** Counts the calls that make data durable, of a program and all its children; everything is slow then. */
export const COUNTING = (file) => ["strace", "-f", "-c", "-o", file, "-e", "trace=fsync,fdatasync,msync,sync_file_range,syncfs"];

/** A new directory that other users can reach. */
export function place(parent) {
  mkdirSync(parent, { recursive: true });
  const dir = mkdtempSync(join(parent, "peers-"));
  chmodSync(dir, 0o755);
  places.add(dir);
  return dir;
}

/** Deletes it with all that is in it. */
export function clear(dir) {
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  places.delete(dir);
}

/** A port that nobody listened on a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/**
 * Starts a program in a process group of its own. If this program is killed, the kernel ends it.
 * `counted` is a file for strace's count of the calls that make data durable; the program is slow then.
 */
export function start(command, { dir, env = {}, user, counted, ending = "SIGTERM" }) {
  const as = user ? ["--reuid", user.uid, "--regid", user.gid, "--clear-groups"].map(String) : [];
  const strace = counted ? COUNTING(counted) : [];
  const backstop = ["setpriv", "--pdeathsig", counted ? "KILL" : ending.replace("SIG", ""), "--"];
  const other = as.length ? ["setpriv", ...as, "--"] : [];
  const [program, ...args] = [...other, ...backstop, ...strace, ...command];
  const child = spawn(program, args, { cwd: dir, env: { ...process.env, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const running = { child, ending, log: join(dir, "log"), ended: null };
  const log = createWriteStream(running.log);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  running.ended = new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, by) => resolve(by ?? code));
  });
  if (child.pid) groups.set(child.pid, { ending, alone: false });
  running.ended.then(() => ((running.over = true), groups.delete(child.pid)));
  return running;
}

/** Asks it to end, waits for that, and kills what doesn't. */
export async function end(running) {
  const { child, ending, ended } = running;
  if (!running.over) {
    signal(child.pid, ending);
    const late = sleep(END_WITHIN_MS, "late", { ref: false });
    if ((await Promise.race([ended, late])) === "late") signal(child.pid, "SIGKILL");
    await ended;
  }
}

/** `kill -9` of it and of all its processes, the first of them first, so that it mends nothing; waits until all are gone. */
export async function kill({ child, over, ended }) {
  const pids = over ? [] : family(child.pid);
  for (const pid of pids) signal(pid, "SIGKILL", { alone: true });
  await ended;
  while (pids.some(alive)) await sleep(LOOK_EVERY_MS);
}

/** MiB that it has resident; where several processes share memory, each counts its part of that. */
export function memory({ child }) {
  const pids = family(child.pid);
  const kind = pids.length > 1 ? /^Pss: +(\d+) kB/m : /^Rss: +(\d+) kB/m;
  const kib = pids.reduce((sum, pid) => sum + Number(kind.exec(told(pid, "smaps_rollup"))?.[1] ?? 0), 0);
  if (kib === 0) throw new Error("its memory can't be read");
  return kib / 1024;
}

/** A process and all that come from it. */
function family(pid) {
  const children = told(pid, `task/${pid}/children`).split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(family)];
}

function alive(pid) {
  return /\) [^ZX] /.test(told(pid, "stat"));
}

/** What the kernel says of a process: nothing, if it has ended. */
function told(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** Waits until somebody listens there. */
export async function listening(running, port) {
  const until = Date.now() + READY_WITHIN_MS;
  while (!(await reachable(port))) {
    if (running.over || Date.now() > until) {
      const log = readFileSync(running.log, "utf8").trim().split("\n").slice(-3).join(" ");
      throw new Error(`does not start: ${log}`);
    }
    await sleep(LOOK_EVERY_MS);
  }
}

function reachable(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => (socket.destroy(), resolve(true)));
    socket.on("error", () => resolve(false));
  });
}

/**
 * Runs a program to its end and gives what it printed; its last words if it fails. `answer` is what it may ask for
 * meanwhile, by Node's messages; it is ended if that can't be had.
 */
export async function run(command, { alone = false, answer, ...options } = {}) {
  await going();
  const [program, ...args] = command;
  const child = spawn(program, args, { ...options, detached: true, stdio: ["ignore", "pipe", "pipe", ...(answer ? ["ipc"] : [])] });
  if (child.pid) groups.set(child.pid, { ending: "SIGINT", alone });
  const [out, err] = [[], []];
  child.stdout.on("data", (data) => out.push(data));
  child.stderr.on("data", (data) => err.push(data));
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("message", (question) => answer(question).then((found) => child.send(found)).catch(reject));
    child.on("close", (code, by) => resolve(by ?? code));
  }).finally(() => {
    // What it left behind goes with it.
    signal(child.pid, "SIGKILL");
    groups.delete(child.pid);
  });
  if (code !== 0) {
    const words = Buffer.concat(err).toString().trim().split("\n").slice(-4).join(" ");
    throw new Error(`${program} ended with ${code}: ${words}`);
  }
  return Buffer.concat(out).toString();
}

/** What a program prints at once, or nothing. */
export function ask(command, options = {}) {
  const [program, ...args] = command;
  const done = spawnSync(program, args, { encoding: "utf8", ...options });
  return done.status === 0 ? done.stdout.trim() : "";
}
