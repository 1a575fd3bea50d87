import { TaskError, refusal } from "./errors.js";
import { call, read } from "./sse.js";
import { TaskStream } from "./stream.js";
import {
  FINAL,
  type AcceptedTask,
  type StateEvent,
  type Task,
  type TaskEvent,
  type TaskFilter,
  type TaskPage,
  type TaskSpec,
} from "./types.js";

/** Where a gateway answers HTTP if nothing else is said. */
export const GATEWAY_DEFAULT = "http://127.0.0.1:8080";

export interface TaskClientOptions {
  /** Sent with each call as `Authorization: Bearer`. */
  token?: string;
  /** Milliseconds that streams look for a gateway that went away; 5 minutes if nothing is said. */
  patienceMs?: number;
}

/** What can be done with containers. */
export type DockerOperation = "run" | "start" | "stop" | "logs";

/** What `executeDocker` may say. */
export interface DockerOptions {
  /** `run` needs it. */
  image?: string;
  /** The container: `start`, `stop` and `logs` need it. */
  id?: string;
  /** For `run`: instead of the image's own command. */
  command?: string[];
  /** For `run`: added to the image's environment. */
  env?: Record<string, string>;
  /** Seconds. */
  timeout?: number;
}

/** A task that was started, and what happens to it. */
export interface Execution {
  taskId: string;
  stream: TaskStream;
}

/** A worker's name; any worker that fits if it is empty or left out. */
type AgentId = string | null | undefined;

/**
 * A gateway. Calls that are refused, or that nobody answers, throw TaskError.
 */
export class TaskClient {
  readonly baseUrl: string;
  #headers: Record<string, string>;
  #patienceMs: number;

  constructor(baseUrl: string = GATEWAY_DEFAULT, { token, patienceMs = 300_000 }: TaskClientOptions = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.#headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    this.#patienceMs = patienceMs;
  }

  // ---------------------------------------------------------------- shell and docker

  /** Runs a shell line, and follows it from its beginning. `timeout` in seconds, 300 if nothing is said. */
  async executeShell(agentId: AgentId, cmd: string, timeout?: number): Promise<Execution> {
    const { task_id } = await this.createShellTask(agentId, cmd, timeout);
    return { taskId: task_id, stream: this.streamTask(task_id) };
  }

  /**
   * Does something with a container, and follows it: `run` an image; `start`, `stop` or show the `logs` of a container.
   * `what` may be the image's or the container's name alone. `timeout` in seconds, 300 if nothing is said.
   */
  async executeDocker(
    agentId: AgentId,
    operation: DockerOperation,
    what: string | DockerOptions,
    timeout?: number,
  ): Promise<Execution> {
    const named = operation === "run" ? "image" : "id";
    const options = typeof what === "string" ? { [named]: what } : what;
    const body = { ...agent(agentId), operation, ...options, ...(timeout === undefined ? {} : { timeout }) };
    const { task_id } = await this.#post<AcceptedTask>("/tasks/docker", body);
    return { taskId: task_id, stream: this.streamTask(task_id) };
  }

  /** Runs a shell line. `timeout` in seconds, 300 if nothing is said. */
  createShellTask(agentId: AgentId, cmd: string, timeout?: number): Promise<AcceptedTask> {
    return this.#post("/tasks/shell", { ...agent(agentId), cmd, ...(timeout === undefined ? {} : { timeout }) });
  }

  /** A task as it stands. */
  getTaskStatus(taskId: string): Promise<Task> {
    return this.get(taskId);
  }

  /** All tasks, newest first. */
  listAllTasks(): Promise<Task[]> {
    return this.#all({});
  }

  /** All tasks of one worker, newest first. */
  listAgentTasks(agentId: string): Promise<Task[]> {
    return this.#all({}, `/agents/${encodeURIComponent(agentId)}/tasks`);
  }

  /** Cancels a task and waits until its processes are gone, at most 10 s: then `message` is `cancelling`. */
  cancelTask(taskId: string): Promise<{ message: string }> {
    return this.cancel(taskId);
  }

  /** Follows a task from its beginning or, with `lastEventId`, from behind that event. */
  streamTask(taskId: string, { lastEventId = "" }: { lastEventId?: string } = {}): TaskStream {
    const url = `${this.baseUrl}/stream?ref=${encodeURIComponent(taskId)}`;
    return new TaskStream(url, this.#headers, lastEventId, this.#patienceMs);
  }

  // ---------------------------------------------------------------- anything: the same verbs in every client

  /** Submits a task. When it returns, the task is on disk. */
  submit(spec: TaskSpec): Promise<AcceptedTask> {
    return this.#post("/tasks", spec);
  }

  /** Submits up to 10,000 tasks (4 MiB) in one durable commit, all or none. The answers are in the tasks' order. */
  async submitMany(specs: TaskSpec[]): Promise<AcceptedTask[]> {
    return (await this.#post<{ tasks: AcceptedTask[] }>("/tasks/batch", { tasks: specs })).tasks;
  }

  /** A task as it stands. */
  get(taskId: string): Promise<Task> {
    return this.#json("GET", task(taskId));
  }

  /** A page of tasks, newest first. */
  list(filter: TaskFilter = {}): Promise<TaskPage> {
    return this.#page("/tasks", filter);
  }

  /** Cancels a task and waits until its processes are gone, at most 10 s: then `message` is `cancelling`. */
  cancel(taskId: string): Promise<{ message: string }> {
    return this.#json("DELETE", task(taskId));
  }

  /** Runs a task that has ended again, as a new one; of an array, what failed or timed out. */
  retry(taskId: string): Promise<AcceptedTask> {
    return this.#post(`${task(taskId)}/retry`, undefined);
  }

  /**
   * The story of a task: its states, progress and output, until its end. `after`: behind the event with this id. It survives
   * the gateway's restarts without loss or repetition.
   */
  async *watch(
    taskId: string,
    { after = "", signal = new AbortController().signal }: { after?: string; signal?: AbortSignal } = {},
  ): AsyncGenerator<TaskEvent, void, undefined> {
    const url = `${this.baseUrl}${task(taskId)}/events`;
    const isLast = ({ event, data }: { event: string; data: string }) =>
      event === "state" && (JSON.parse(data) as StateEvent).final;
    for await (const told of read({ url, headers: this.#headers, after, signal, patienceMs: this.#patienceMs, isLast })) {
      const event = { type: told.event, id: told.id, ...JSON.parse(told.data) } as TaskEvent;
      yield event.type === "output" ? withBytes(event) : event;
    }
  }

  /** Waits for a task's end and gives the task. */
  async wait(taskId: string): Promise<Task> {
    for await (const event of this.watch(taskId)) {
      void event;
    }
    return this.get(taskId);
  }

  /** The bytes that a task has written so far, from an offset; `follow`: up to its end. */
  async output(
    taskId: string,
    { stream = "stdout", offset = 0, follow = false }: { stream?: "stdout" | "stderr"; offset?: number; follow?: boolean } = {},
  ): Promise<Uint8Array> {
    const query = new URLSearchParams({ stream, offset: String(offset), follow: String(follow) });
    const answer = await this.#call("GET", `${task(taskId)}/output?${query}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  // ---------------------------------------------------------------- calls

  async #all(filter: TaskFilter, path = "/tasks"): Promise<Task[]> {
    const tasks: Task[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const page: TaskPage = await this.#page(path, { ...filter, limit: 1_000, ...(cursor === "" ? {} : { cursor }) });
      tasks.push(...page.tasks);
      cursor = page.next_cursor;
    }
    return tasks;
  }

  #page(path: string, filter: TaskFilter): Promise<TaskPage> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filter)) {
      if (value !== undefined && value !== "") {
        query.set(name, String(value));
      }
    }
    return this.#json("GET", query.size === 0 ? path : `${path}?${query}`);
  }

  #post<T>(path: string, body: unknown): Promise<T> {
    return this.#json("POST", path, body);
  }

  async #json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.#call(method, path, body);
    return (await answer.json()) as T;
  }

  async #call(method: string, path: string, body?: unknown): Promise<Response> {
    const said: RequestInit = { method, headers: this.#headers };
    if (body !== undefined) {
      said.headers = { ...this.#headers, "Content-Type": "application/json" };
      said.body = JSON.stringify(body);
    }
    const answer = await call(this.baseUrl + path, said);
    if (!answer.ok) {
      throw await refusal(answer);
    }
    return answer;
  }
}

/** Whether nothing follows this status. */
export function isFinal(task: Task): boolean {
  return FINAL.includes(task.status);
}

/** The final bytes of a handler. */
export function resultOf(task: Task): Uint8Array {
  return bytes(task.result, task.result_base64);
}

function withBytes(event: TaskEvent & { data?: string; data_base64?: string }): TaskEvent {
  const { data, data_base64, ...rest } = event;
  return { ...rest, bytes: bytes(data, data_base64) } as TaskEvent;
}

function bytes(text: string | undefined, base64: string | undefined): Uint8Array {
  if (base64 === undefined) {
    return new TextEncoder().encode(text ?? "");
  }
  return Uint8Array.from(atob(base64), (digit) => digit.charCodeAt(0));
}

function task(taskId: string): string {
  if (taskId === "") {
    throw new TaskError("task_id: must not be empty", 400);
  }
  return `/tasks/${encodeURIComponent(taskId)}`;
}

function agent(agentId: AgentId): { agent_id?: string } {
  return agentId ? { agent_id: agentId } : {};
}
