// beanstalkd, by its own text protocol: a task is put, reserved and deleted, and each of the last two is answered when
// the log is synced. It keeps no results; that the task is gone is its end.

import { connect as dial } from "node:net";
import { once } from "node:events";
import { measure } from "./load.mjs";

/** Puts on their way on one connection: the server syncs each of them anyway. */
const WINDOW = 1_000;
/** Seconds that a worker has. */
const TIME_TO_RUN = 120;
const BODY = "0123456789";
const PUT = `put 0 0 ${TIME_TO_RUN} ${BODY.length}\r\n${BODY}\r\n`;

/** A connection that gives the server's lines in order. A body is a line, too: ours has no line break. */
async function line(port, heard) {
  const socket = dial({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  let rest = "";
  socket.setEncoding("latin1");
  socket.on("data", (text) => {
    const lines = (rest + text).split("\r\n");
    rest = lines.pop();
    lines.forEach(heard);
  });
  return socket;
}

function refuse(text) {
  throw new Error(`beanstalkd says ${text}`);
}

await measure(async (port) => ({
  async submitter() {
    // Answers come in order.
    const waiting = [];
    const socket = await line(port, (text) => (text.startsWith("INSERTED") ? waiting.shift()() : refuse(text)));
    return () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        socket.write(PUT);
      });
  },
  async submitAll(tasks) {
    let [sent, accepted, all] = [0, 0, null];
    const done = new Promise((resolve) => (all = resolve));
    const socket = await line(port, (text) => {
      if (!text.startsWith("INSERTED")) refuse(text);
      accepted += 1;
      if (sent < tasks) send(1);
      if (accepted === tasks) all();
    });
    const send = (count) => {
      socket.write(PUT.repeat(count));
      sent += count;
    };
    send(Math.min(WINDOW, tasks));
    await done;
    socket.end();
  },
  async work(slots, ended) {
    for (let slot = 0; slot < slots; slot++) {
      const socket = await line(port, (text) => {
        const [word, id] = text.split(" ");
        // The next one is asked for in the same breath.
        if (word === "RESERVED") socket.write(`delete ${id}\r\nreserve\r\n`);
        else if (word === "DELETED") ended();
        else if (word !== BODY) refuse(text);
      });
      socket.write("reserve\r\n");
    }
  },
  async held(port) {
    let [told, failed] = [];
    const stats = new Promise((resolve, reject) => ([told, failed] = [resolve, reject]));
    const socket = await line(port, (text) => !text.startsWith("OK") && told(text));
    socket.on("error", failed).on("close", () => failed(new Error("beanstalkd hung up")));
    socket.write("stats-tube default\r\n");
    const ready = /^current-jobs-ready: (\d+)$/m.exec(await stats.finally(() => socket.destroy()));
    return Number(ready[1]);
  },
}));
