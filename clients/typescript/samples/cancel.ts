// Cancels a task that runs: `node cancel.js [GATEWAY]`.

import { TaskClient } from "../src/index.js";

const client = new TaskClient(process.argv[2]);
const { task_id } = await client.submit({ shell: { command: "sleep 1000" }, timeout_ms: 0 });
for await (const event of client.watch(task_id)) {
  if (event.type === "state" && event.state === "running") {
    break;
  }
}
await client.cancel(task_id);
console.log((await client.wait(task_id)).status);
