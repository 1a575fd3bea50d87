// BullMQ on redis: a task is a job, its end is that the worker has moved it to the completed ones; redis answers either
// when its log is synced. Completed jobs are kept, as Baton keeps them.

import { measure, required } from "./load.mjs";

const { Queue, Worker } = required("bullmq");
const { Redis } = required("ioredis");
/** Tasks in one call, and calls at once: as Baton's own bench does. */
const BATCH = 1_000;
const CALLS = 2;

await measure(async (port) => {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
  const queue = () => new Queue("tasks", { connection });
  return {
    async submitter() {
      const own = queue();
      await own.waitUntilReady();
      return () => own.add("noop", {});
    },
    async submitAll(tasks) {
      let left = tasks;
      const call = async () => {
        const own = queue();
        while (left > 0) {
          const next = Math.min(BATCH, left);
          left -= next;
          await own.addBulk(Array.from({ length: next }, () => ({ name: "noop", data: {} })));
        }
        await own.close();
      };
      await Promise.all(Array.from({ length: CALLS }, call));
    },
    async work(slots, ended) {
      const worker = new Worker("tasks", async () => null, { connection, concurrency: slots });
      worker.on("completed", ended);
      worker.on("failed", (_, error) => Promise.reject(error));
      await worker.waitUntilReady();
    },
    // The library's own wait for a server that loads looks once a second.
    async held(port) {
      const redis = new Redis({ host: "127.0.0.1", port, lazyConnect: true, enableReadyCheck: false, retryStrategy: null });
      redis.on("error", () => {});
      try {
        await redis.connect();
        return await redis.llen("bull:tasks:wait");
      } finally {
        redis.disconnect();
      }
    },
  };
});
