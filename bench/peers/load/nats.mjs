// NATS JetStream, by its own client: a task is a message in a work queue of file storage, published with an
// acknowledgement; its end is the consumer's acknowledgement, which the server confirms and which deletes it.

import { measure, required } from "./load.mjs";

const { connect, AckPolicy, RetentionPolicy, StorageType } = required("nats");
/** Publishes on their way on one connection, and messages that the consumer may have unacknowledged. */
const WINDOW = 1_000;
const BODY = new TextEncoder().encode("0123456789");

await measure(async (port) => {
  const server = { servers: `127.0.0.1:${port}` };
  const connection = await connect(server);
  const manager = await connection.jetstreamManager();
  await manager.streams.add({ name: "tasks", subjects: ["tasks"], storage: StorageType.File, retention: RetentionPolicy.Workqueue });
  return {
    async submitter() {
      const own = (await connect(server)).jetstream();
      return () => own.publish("tasks", BODY);
    },
    async submitAll(tasks) {
      const stream = connection.jetstream();
      let sent = 0;
      const lane = async () => {
        while (sent++ < tasks) await stream.publish("tasks", BODY);
      };
      await Promise.all(Array.from({ length: Math.min(WINDOW, tasks) }, lane));
    },
    // A handler that does nothing is over before the next one begins, however many slots there are.
    async work(_, ended) {
      await manager.consumers.add("tasks", { durable_name: "worker", ack_policy: AckPolicy.Explicit, max_ack_pending: WINDOW });
      const own = await connect(server);
      const consumer = await own.jetstream().consumers.get("tasks", "worker");
      const messages = await consumer.consume({
        max_messages: WINDOW,
        callback: (message) => message.ackAck().then((confirmed) => confirmed && ended()),
      });
      messages.closed().then((error) => error && Promise.reject(error));
    },
    async held(port) {
      const own = await connect({ servers: `127.0.0.1:${port}`, reconnect: false });
      try {
        const { state } = await (await own.jetstreamManager()).streams.info("tasks");
        return state.messages;
      } finally {
        await own.close();
      }
    },
    leave: () => connection.close(),
  };
});
