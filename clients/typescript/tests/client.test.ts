// Against a real gateway with one worker, `w0`, and a handler `reverse`: `BATON_HTTP=http://127.0.0.1:8080 npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TaskClient, TaskError, TaskStream, isFinal, resultOf, type StreamResponse, type TaskEvent } from "../src/index.js";

const gateway = process.env["BATON_HTTP"];
const options = { skip: gateway === undefined ? "BATON_HTTP is not set" : false };
const client = new TaskClient(gateway, { token: "none is asked for yet" });
const ABSENT = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";

type Data = StreamResponse["event_response"]["result"]["data"];

/** All `response` events of a stream, once nothing follows. */
async function responses(stream: TaskStream): Promise<StreamResponse["event_response"][]> {
  const seen: StreamResponse["event_response"][] = [];
  stream.addEventListener("response", (event) => {
    seen.push((JSON.parse((event as MessageEvent<string>).data) as StreamResponse).event_response);
  });
  await stream.done;
  return seen;
}

function written(data: Data[], type: string): string {
  return data.filter((one) => one.type === type).map((one) => one.output ?? "").join("");
}

test("executeShell gives the task's id, and a stream of all that happens to it", options, async () => {
  const { taskId, stream } = await client.executeShell("w0", "echo out; echo err >&2; exit 3");
  const seen = await responses(stream);
  const data = seen.map(({ result }) => result.data);
  assert.ok(seen.every(({ event_ref }) => event_ref === taskId));
  assert.deepEqual([written(data, "stdout"), written(data, "stderr")], ["out\n", "err\n"]);
  assert.deepEqual(data.map(({ sequence }) => sequence), data.map((_, index) => index + 1), "nothing is missing");
  const last = seen.at(-1);
  assert.deepEqual([last?.status, last?.result.data.is_final, last?.result.data.exit_code], ["FAILURE", true, 3]);
  assert.equal(stream.readyState, TaskStream.CLOSED);
});

// With a Docker engine that has this image and a container `box`, which says where it is from and ends with 5.
const image = process.env["BATON_DOCKER_IMAGE"];
const docker = { skip: options.skip || (image === undefined ? "BATON_DOCKER_IMAGE is not set" : false) };

test("executeDocker runs, starts, stops and reads containers", docker, async () => {
  const command = ["sh", "-c", "echo $A; exit 3"];
  type Call = Parameters<TaskClient["executeDocker"]>;
  const table: [Call, string, number, string][] = [
    [["w0", "run", { image: image ?? "", command, env: { A: "b c" } }, 60], "FAILURE", 3, "b c\n"],
    [[undefined, "start", "box"], "FAILURE", 5, "from the box\n"],
    [["", "logs", { id: "box", timeout: 60 }], "SUCCESS", 0, "from the box\n"],
    [["w0", "stop", "box", 60], "SUCCESS", 0, ""],
    [["w0", "logs", "nowhere"], "FAILURE", -1, ""],
  ];
  for (const [call, status, code, output] of table) {
    const { taskId, stream } = await client.executeDocker(...call);
    const seen = await responses(stream);
    const last = seen.at(-1);
    const found = [last?.status, last?.result.data.exit_code, written(seen.map(({ result }) => result.data), "stdout")];
    assert.deepEqual(found, [status, code, output], `${call[1]}: ${(await client.getTaskStatus(taskId)).message}`);
  }
  await assert.rejects(client.executeDocker("w0", "run", ""), (error: TaskError) => /^image: /.test(error.message));
});

test("a stream tells of its end, and one that was seen to its end ends at once", options, async () => {
  const { taskId, stream } = await client.executeShell(undefined, "true");
  let lastEventId = "";
  let ended = 0;
  stream.addEventListener("response", (event) => (lastEventId = (event as MessageEvent).lastEventId));
  stream.addEventListener("end", () => ended++);
  await stream.done;
  assert.equal(ended, 1);
  const late = await responses(client.streamTask(taskId));
  assert.ok(late.length >= 2, "who comes late hears everything");
  assert.deepEqual(await responses(client.streamTask(taskId, { lastEventId })), [], "204");
});

test("close() ends the stream and leaves the task alone", options, async () => {
  const { taskId, stream } = await client.executeShell("", "sleep 1000", 600);
  await new Promise((resolve) => stream.addEventListener("response", resolve, { once: true }));
  stream.close();
  await stream.done;
  assert.equal(stream.cause, undefined);
  const { status, timeout } = await client.getTaskStatus(taskId);
  assert.ok(["pending", "sent", "in_progress"].includes(status), status);
  assert.equal(timeout, "10m0s");
  assert.deepEqual(await client.cancelTask(taskId), { message: "task cancelled" });
  assert.equal((await client.wait(taskId)).status, "cancelled");
  await assert.rejects(client.cancelTask(taskId), (error: TaskError) => error.status === 400);
});

test("createShellTask answers as the route does, and lists have the task", options, async () => {
  const created = await client.createShellTask("w0", "echo listed", 5);
  assert.deepEqual([created.agent_id, created.status], ["w0", "pending"]);
  assert.ok(!Number.isNaN(Date.parse(created.created_at)));
  const task = await client.wait(created.task_id);
  assert.deepEqual([task.status, task.exit_code, task.timeout, isFinal(task)], ["completed", 0, "5s", true]);
  const mine = (tasks: { task_id: string }[]) => tasks.some(({ task_id }) => task_id === created.task_id);
  assert.ok(mine(await client.listAllTasks()) && mine(await client.listAgentTasks("w0")));
  assert.deepEqual(await client.listAgentTasks("nobody"), []);
});

test("progress comes as events of its own", options, async () => {
  const { stream } = await client.executeShell("w0", 'printf "42 half way\\n" >&"$BATON_PROGRESS_FD"');
  const progress: unknown[] = [];
  stream.addEventListener("progress", (event) => {
    const { percent, message } = JSON.parse((event as MessageEvent<string>).data) as { percent: number; message: string };
    progress.push([percent, message]);
  });
  await stream.done;
  assert.deepEqual(progress, [[42, "half way"]]);
});

test("bytes stay bytes", options, async () => {
  const { task_id } = await client.submit({ shell: { command: "printf 'a\\377\\0b'" } });
  const events: TaskEvent[] = [];
  for await (const event of client.watch(task_id)) {
    events.push(event);
  }
  const bytes = events.flatMap((event) => (event.type === "output" ? [...event.bytes] : []));
  assert.deepEqual(bytes, [97, 255, 0, 98]);
  assert.deepEqual([...(await client.output(task_id))], [97, 255, 0, 98]);
  assert.deepEqual([...(await client.output(task_id, { offset: 2 }))], [0, 98]);
  const behind: TaskEvent[] = [];
  for await (const event of client.watch(task_id, { after: events[0]?.id ?? "" })) {
    behind.push(event);
  }
  assert.deepEqual(behind, events.slice(1));
});

test("a handler's result, many at once, a page, and a retry", options, async () => {
  const specs = ["ab", "cd"].map((payload) => ({ name: "reverse", payload }));
  const accepted = await client.submitMany(specs);
  const results: string[] = [];
  for (const { task_id } of accepted) {
    results.push(new TextDecoder().decode(resultOf(await client.wait(task_id))));
  }
  assert.deepEqual(results, ["ba", "dc"]);
  const page = await client.list({ name: "reverse", status: ["completed", "failed"], limit: 1 });
  assert.equal(page.tasks.length, 1);
  assert.ok(page.next_cursor);
  const again = await client.retry(accepted[0]?.task_id ?? "");
  assert.equal((await client.wait(again.task_id)).retry_of, accepted[0]?.task_id);
});

test("errors say what is wrong, with their status", options, async () => {
  const refused = (status: number, text: RegExp) => (error: unknown) =>
    error instanceof TaskError && error.status === status && text.test(error.message);
  await assert.rejects(client.getTaskStatus(ABSENT), refused(404, /./));
  await assert.rejects(client.getTaskStatus("x"), refused(400, /task_id/));
  await assert.rejects(client.createShellTask("w0", ""), refused(400, /./));
  await assert.rejects(client.submit({ name: "" }), refused(400, /name/));
  const stream = client.streamTask(ABSENT);
  const error = new Promise((resolve) => stream.addEventListener("error", resolve));
  await Promise.all([stream.done, error]);
  assert.equal(stream.cause?.status, 404);
});

test("nobody there is an error with status 0, for streams after their patience", async () => {
  const lonely = new TaskClient("http://127.0.0.1:9", { patienceMs: 1 });
  await assert.rejects(lonely.listAllTasks(), (error: TaskError) => error.status === 0 && /127\.0\.0\.1:9/.test(error.message));
  const stream = lonely.streamTask(ABSENT);
  await stream.done;
  assert.equal(stream.cause?.status, 0);
});
