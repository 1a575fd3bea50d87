// Serves the compiled client to a browser, with a page that uses it: `page.mjs BUILT GATEWAY`. Prints where, then what the
// page hands in.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const [, , built, gateway] = process.argv;
const page = `<!doctype html>
<title>uses the client</title>
<script type="module">
  import { TaskClient } from "/src/index.js";
  const tell = (what) => fetch("/told", { method: "POST", body: String(what) });
  try {
    const client = new TaskClient(${JSON.stringify(gateway)}, { token: "asked for by a preflight" });
    const { taskId, stream } = await client.executeShell("w0", "echo from a page; exit 4");
    let written = "";
    stream.addEventListener("response", (event) => {
      const { type, output } = JSON.parse(event.data).event_response.result.data;
      written += type === "stdout" ? output.trim() : "";
    });
    await stream.done;
    const { status, exit_code } = await client.getTaskStatus(taskId);
    const tasks = await client.listAgentTasks("w0");
    await tell([written, status, exit_code, tasks.length].join(", "));
  } catch (error) {
    await tell(error);
  }
</script>`;

const server = createServer(async (request, response) => {
  const path = new URL(request.url, "http://here").pathname;
  if (request.method === "POST") {
    let told = "";
    for await (const chunk of request) {
      told += chunk;
    }
    console.log(told);
    response.end();
  } else if (path.startsWith("/src/") && !path.includes("..")) {
    response.setHeader("content-type", "text/javascript");
    response.end(await readFile(join(built, path)));
  } else {
    response.setHeader("content-type", "text/html");
    response.end(page);
  }
});
server.listen(0, "127.0.0.1", () => console.log(`page service listening on 127.0.0.1:${server.address().port}`));
