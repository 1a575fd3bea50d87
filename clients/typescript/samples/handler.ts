// Has a handler work, and prints its result: `node handler.js [GATEWAY]`. The sample `worker` of the other languages has
// the handler.

import { TaskClient, resultOf } from "../src/index.js";

const client = new TaskClient(process.argv[2]);
const { task_id } = await client.submit({ name: "reverse", payload: "stressed" });
console.log(new TextDecoder().decode(resultOf(await client.wait(task_id))));
