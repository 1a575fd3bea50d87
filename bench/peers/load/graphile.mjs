// graphile-worker on PostgreSQL: a task is a row, its end is that the row is deleted and the deletion committed. For many
// tasks with the library's local queue and batched completions; for one at a time without them, since they only delay it.

import { EventEmitter } from "node:events";
import { measure, required } from "./load.mjs";

const { run, runMigrations } = required("graphile-worker");
const { Client, Pool } = required("pg");
/** Tasks in one call, and calls at once: as Baton's own bench does. */
const BATCH = 1_000;
const CALLS = 2;
/** Tasks that the library fetches at a time. */
const LOCAL_QUEUE = 500;
const ADD = "select graphile_worker.add_job('noop', '{}'::json)";
const ADD_MANY =
  "select count(*) from graphile_worker.add_jobs(array(select row('noop', '{}', null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, $1)))";

await measure(async (port, { latency }) => {
  const connectionString = `postgres://peer@127.0.0.1:${port}/postgres`;
  const { Logger } = required("@graphile/logger");
  const logger = new Logger(() => (level, message) => level === "error" && console.error(message));
  await runMigrations({ connectionString, logger });
  const pool = new Pool({ connectionString, max: CALLS });
  return {
    async submitter() {
      const own = await new Pool({ connectionString, max: 1 }).connect();
      return () => own.query({ name: "add", text: ADD });
    },
    async submitAll(tasks) {
      let left = tasks;
      const call = async () => {
        while (left > 0) {
          const next = Math.min(BATCH, left);
          left -= next;
          await pool.query(ADD_MANY, [next]);
        }
      };
      await Promise.all(Array.from({ length: CALLS }, call));
    },
    async work(slots, ended) {
      const events = new EventEmitter();
      const batched = { localQueue: { size: LOCAL_QUEUE, refetchDelay: { durationMs: 10 } }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
      events.on("job:complete", ({ error }) => (error ? Promise.reject(error) : ended()));
      const started = new Promise((resolve) => events.once("worker:create", resolve));
      await run({
        preset: { worker: { connectionString, concurrentJobs: slots, maxPoolSize: 10, ...(latency ? {} : batched) } },
        events,
        logger,
        noHandleSignals: true,
        taskList: { noop: () => {} },
      });
      await started;
    },
    // The last one's number, which an index has: a count reads every row.
    async held(port) {
      const client = new Client(`postgres://peer@127.0.0.1:${port}/postgres`);
      try {
        await client.connect();
        const { rows } = await client.query("select max(id) from graphile_worker._private_jobs");
        return Number(rows[0].max);
      } finally {
        await client.end();
      }
    },
    leave: () => pool.end(),
  };
});
