// Follows a task to its end: `follow.mjs PACKAGE GATEWAY TASK`. Says what the task writes, when the connection breaks, and at
// last the status and the numbers of all events.

const [, , path, gateway, taskId] = process.argv;
const { TaskClient } = await import(path);
const client = new TaskClient(gateway);
const stream = client.streamTask(taskId);
const numbers = [];
stream.addEventListener("error", () => console.log("broken"), { once: true });
stream.addEventListener("response", ({ data }) => {
  const { sequence, type, output } = JSON.parse(data).event_response.result.data;
  numbers.push(sequence);
  if (type === "stdout") {
    process.stdout.write(output);
  }
});
await stream.done;
console.log((await client.getTaskStatus(taskId)).status, numbers.join(" "));
