// The peers: where their programs are, how they are started, and how durable they are then. Each stores in a new
// directory, and is set to sync what it is told before it answers; one that can't says so.

import { spawnSync } from "node:child_process";
import { chownSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, end, freePort, listening, run, start } from "./processes.mjs";

/** Debian's user for programs that refuse to be root. */
const NOBODY = { uid: 65534, gid: 65534 };

export function systems(tools) {
  const debian = join(tools, "debian");
  const find = (...patterns) =>
    patterns.flatMap((pattern) => [...files(join(debian, pattern)), ...files(join("/", pattern))])[0];
  const libraries = [...files(join(debian, "usr/lib/*-linux-gnu")), ...files(join(debian, "lib/*-linux-gnu"))];
  const env = { LD_LIBRARY_PATH: [...libraries, process.env.LD_LIBRARY_PATH ?? ""].filter(Boolean).join(":") };
  const packageOf = (name) => versionOf(tools, name);
  return [beanstalkd(find, env), nats(find, env, packageOf), graphile(find, env, packageOf), bullmq(find, env, packageOf)];
}

function beanstalkd(find, env) {
  const program = find("usr/bin/beanstalkd");
  return {
    name: "beanstalkd",
    load: "beanstalkd",
    missing: program ? null : "beanstalkd is not there",
    version: program && ask([program, "-v"], { env: { ...process.env, ...env } }),
    settings: "-b DIR -f0: each command is synced",
    queue: true,
    durable: true,
    async start(dir, options) {
      const port = await freePort();
      return up(start([program, "-l", "127.0.0.1", "-p", String(port), "-b", dir, "-f0"], { dir, env, ...options }), port);
    },
  };
}

function nats(find, env, packageOf) {
  const program = find("usr/sbin/nats-server", "usr/bin/nats-server");
  const client = packageOf("nats");
  const config = (always, port, dir) =>
    `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${dir}"${always ? ", sync_interval: always" : ""} }\n`;
  // Older servers don't know the setting, and can't be made to sync before they answer.
  let always = false;
  return {
    name: "NATS JetStream",
    load: "nats",
    missing: !program ? "nats-server is not there" : client ? null : "npm's nats is not there",
    version: program && `${ask([program, "-v"])}, client nats ${client}`,
    get settings() {
      return always ? "file storage, sync_interval: always" : "file storage; this version syncs every two minutes and cannot be told to sync always";
    },
    queue: true,
    get durable() {
      return always;
    },
    prepare(dir) {
      const file = join(dir, "check.conf");
      writeFileSync(file, config(true, 0, dir));
      always = spawnSync(program, ["-t", "-c", file]).status === 0;
    },
    async start(dir, options) {
      const port = await freePort();
      const file = join(dir, "nats.conf");
      writeFileSync(file, config(always, port, join(dir, "js")));
      return up(start([program, "-c", file], { dir, env, ...options }), port);
    },
  };
}

function graphile(find, env, packageOf) {
  const postgres = find("usr/lib/postgresql/*/bin/postgres");
  const initdb = find("usr/lib/postgresql/*/bin/initdb");
  const [worker, client] = [packageOf("graphile-worker"), packageOf("pg")];
  const user = process.getuid() === 0 ? NOBODY : undefined;
  return {
    name: "graphile-worker",
    load: "graphile",
    missing: !postgres ? "PostgreSQL is not there" : worker && client ? null : "npm's graphile-worker is not there",
    version: postgres && `${worker} on ${ask([postgres, "--version"], { env: { ...process.env, ...env } })}`,
    settings: "fsync=on, synchronous_commit=on, full_page_writes=on, shared_buffers=512MB, max_wal_size=4GB; local queue of 500, completions in batches",
    queue: true,
    durable: true,
    async prepare(dir) {
      if (user) chownSync(dir, user.uid, user.gid);
      const init = [initdb, "-D", join(dir, "data"), "-U", "peer", "-A", "trust", "-E", "UTF8", "--locale=C"];
      await run(user ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--", ...init] : init, { cwd: dir, env: { ...process.env, ...env } });
    },
    async start(dir, options) {
      const port = await freePort();
      const set = { port, listen_addresses: "127.0.0.1", unix_socket_directories: "", fsync: "on", synchronous_commit: "on", full_page_writes: "on", shared_buffers: "512MB", max_wal_size: "4GB" };
      const settings = Object.entries(set).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
      return up(start([postgres, "-D", join(dir, "data"), ...settings], { dir, env, user, ending: "SIGINT", ...options }), port);
    },
  };
}

function bullmq(find, env, packageOf) {
  const program = find("usr/bin/redis-server");
  const client = packageOf("bullmq");
  return {
    name: "BullMQ",
    load: "bullmq",
    missing: !program ? "redis-server is not there" : client ? null : "npm's bullmq is not there",
    version: program && `${client} on ${ask([program, "--version"], { env: { ...process.env, ...env } }).split(" ").slice(0, 3).join(" ")}`,
    settings: "appendonly yes, appendfsync always",
    queue: true,
    durable: true,
    async start(dir, options) {
      const port = await freePort();
      const set = { bind: "127.0.0.1", port, dir, appendonly: "yes", appendfsync: "always", save: "", "maxmemory-policy": "noeviction" };
      const settings = Object.entries(set).flatMap(([name, value]) => [`--${name}`, String(value)]);
      return up(start([program, ...settings], { dir, env, ...options }), port);
    },
  };
}

async function up(running, port) {
  try {
    await listening(running, port);
  } catch (error) {
    await end(running);
    throw error;
  }
  return { running, port };
}

function versionOf(tools, name) {
  try {
    return JSON.parse(readFileSync(join(tools, "node", "node_modules", name, "package.json"), "utf8")).version;
  } catch {
    return null;
  }
}

/** Paths that match, where `*` stands for anything within one name; the last in order comes first. */
function files(pattern) {
  let found = ["/"];
  for (const name of pattern.split("/").filter(Boolean)) {
    const [head, tail] = name.includes("*") ? name.split("*") : [name, null];
    const fits = (entry) => (tail === null ? entry === head : entry.startsWith(head) && entry.endsWith(tail));
    found = found.flatMap((dir) => entries(dir).filter(fits).map((entry) => join(dir, entry)));
  }
  return found.sort().reverse();
}

function entries(dir) {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
