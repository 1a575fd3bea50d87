// What is measured: for each row the command of Baton's bench, the arguments of a peer's load program, and how many tasks
// (or bytes) each gets. Where rates are measured, so many that each takes some seconds: rates don't depend on the number.

const GIB = 1024 ** 3;
/** Clients that submit one by one. */
const CLIENTS = 64;

const tasks = (baton, nats, graphile, bullmq, beanstalkd) =>
  ({ Baton: baton, "NATS JetStream": nats, "graphile-worker": graphile, BullMQ: bullmq, beanstalkd });

/** A process each, of which Baton keeps the exit and the output. */
function processes(name, text, count, command) {
  return {
    name,
    text: `${text}, 2 at once`,
    figures: { per_s: "processes/s" },
    tasks: { Baton: count, "xargs -P2": count },
    baton: (n) => ["tasks", "--tasks", n, "--slots", 2, "--", ...command],
    figuresOfBaton: ({ tasks_per_s, failed }) => {
      if (failed !== 0) throw new Error(`${failed} tasks failed`);
      return { per_s: tasks_per_s };
    },
    command,
  };
}

export const ROWS = [
  {
    name: "submit",
    text: `single submits, ${CLIENTS} clients, a connection each`,
    figures: { per_s: "submits/s" },
    tasks: tasks(60_000, 60_000, 15_000, 15_000, 10_000),
    baton: (n) => ["submit", "--tasks", n, "--clients", CLIENTS],
    figuresOfBaton: ({ submits_per_s }) => ({ per_s: submits_per_s }),
    load: (n) => ["submit", n, CLIENTS, CLIENTS],
  },
  {
    name: "submit-one",
    text: `single submits, ${CLIENTS} clients on one connection`,
    figures: { per_s: "submits/s" },
    tasks: tasks(80_000, 60_000, 3_000, 15_000, 10_000),
    baton: (n) => ["submit", "--tasks", n, "--clients", CLIENTS, "--connections", 1],
    figuresOfBaton: ({ submits_per_s }) => ({ per_s: submits_per_s }),
    load: (n) => ["submit", n, CLIENTS, 1],
  },
  {
    name: "tasks",
    text: "no-op tasks from submit to end, 64 at once",
    figures: { per_s: "tasks/s" },
    tasks: tasks(300_000, 60_000, 60_000, 30_000, 10_000),
    baton: (n) => ["tasks", "--tasks", n, "--slots", 64],
    figuresOfBaton: ({ tasks_per_s }) => ({ per_s: tasks_per_s }),
    load: (n) => ["tasks", n, 64],
  },
  {
    name: "tasks-two",
    text: "no-op tasks from submit to end, 2 at once",
    figures: { per_s: "tasks/s" },
    tasks: tasks(150_000, 15_000, 10_000, 5_000, 5_000),
    baton: (n) => ["tasks", "--tasks", n, "--slots", 2],
    figuresOfBaton: ({ tasks_per_s }) => ({ per_s: tasks_per_s }),
    load: (n) => ["tasks", n, 2],
  },
  {
    name: "latency",
    text: "one no-op task at a time, nothing else going on",
    figures: { p50_ms: "ms, median", p99_ms: "ms, p99" },
    less: true,
    tasks: tasks(2_000, 2_000, 2_000, 2_000, 2_000),
    baton: (n) => ["latency", "--tasks", n],
    figuresOfBaton: ({ p50_ms, p99_ms }) => ({ p50_ms, p99_ms }),
    load: (n) => ["latency", n],
  },
  {
    name: "latency-process",
    text: "one /bin/true at a time, nothing else going on",
    figures: { p50_ms: "ms, median", p99_ms: "ms, p99" },
    less: true,
    tasks: { Baton: 500 },
    baton: (n) => ["latency", "--tasks", n, "--", "/bin/true", "x"],
    figuresOfBaton: ({ p50_ms, p99_ms }) => ({ p50_ms, p99_ms }),
  },
  processes("processes", "/bin/true", 5_000, ["/bin/true", "x"]),
  processes("processes-shell", "a true of the shell, sh -c", 3_000, ["sh", "-c", "true"]),
  {
    // What this shows depends on the number, so all have the same.
    name: "queued",
    text: "a million tasks queued that nobody takes",
    figures: {
      seconds: "s to submit them",
      mib: "MiB in memory with them",
      ready_ms: "ms until ready after kill -9",
      array_seconds: "s to submit as many more as one array",
    },
    less: true,
    tasks: tasks(1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000),
    baton: (n) => ["backlog", "--tasks", n, "--array", n],
    figuresOfBaton: ({ tasks_seconds, scheduler_mib, ready_after_kill_ms, array_seconds }) =>
      ({ seconds: tasks_seconds, mib: scheduler_mib, ready_ms: ready_after_kill_ms, array_seconds }),
    load: (n) => ["queued", n],
  },
  {
    name: "output",
    text: "1 GiB of one task's output until it is synced",
    figures: { mib_per_s: "MiB/s" },
    tasks: { Baton: GIB, "a file": GIB },
    baton: (n) => ["output", "--bytes", n],
    figuresOfBaton: ({ mib_per_s }) => ({ mib_per_s }),
  },
  {
    name: "output-followed",
    text: "1 GiB of one task's output, read through the gateway meanwhile",
    figures: { mib_per_s: "MiB/s" },
    tasks: { Baton: GIB },
    baton: (n) => ["output", "--bytes", n, "--follow"],
    figuresOfBaton: ({ mib_per_s }) => ({ mib_per_s }),
  },
];

/**
 * One after the other, each acknowledged before the next begins, so that each is a commit of its own. The difference of
 * two runs leaves out what starting and stopping sync.
 */
export const SYNC_ROWS = [
  { name: "submit", text: "syncs a submit", baton: (n) => ["submit", "--tasks", n, "--clients", 1], load: (n) => ["submit", n, 1, 1], ran: (n) => n },
  // Those that run first, uncounted in times, sync as well.
  { name: "latency", text: "syncs a task from submit to end", baton: (n) => ["latency", "--tasks", n], load: (n) => ["latency", n], ran: (n) => n + Math.min(200, Math.ceil(n / 10)) },
];
