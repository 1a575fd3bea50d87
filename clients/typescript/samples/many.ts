// Submits a hundred tasks at once and waits for all of them: `node many.js [GATEWAY]`.

import { TaskClient } from "../src/index.js";

const client = new TaskClient(process.argv[2]);
const specs = Array.from({ length: 100 }, (_, number) => ({ shell: { command: `echo ${number}` } }));
const accepted = await client.submitMany(specs);
let completed = 0;
for (const { task_id } of accepted) {
  const task = await client.wait(task_id);
  completed += task.status === "completed" ? 1 : 0;
}
console.log(`${completed} completed`);
