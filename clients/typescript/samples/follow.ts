// Runs a shell task and follows what it writes: `node follow.js [GATEWAY]`.

import { TaskClient, type StreamResponse } from "../src/index.js";

const client = new TaskClient(process.argv[2]);
const { taskId, stream } = await client.executeShell("", "echo hello");
stream.addEventListener("response", (event) => {
  const { result } = (JSON.parse((event as MessageEvent<string>).data) as StreamResponse).event_response;
  if (result.data.type === "stdout") {
    process.stdout.write(result.data.output ?? "");
  }
});
await stream.done;
const { status, exit_code } = await client.getTaskStatus(taskId);
console.log(`${status} with exit code ${exit_code}`);
