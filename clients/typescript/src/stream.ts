import { TaskError } from "./errors.js";
import { type ServerEvent, read } from "./sse.js";
import type { StreamResponse } from "./types.js";

/**
 * What happens to one task, as events:
 *
 * - `response`: a MessageEvent whose `data` is JSON (`StreamResponse`): output and states, from the beginning, each once;
 *   the last one has `is_final`.
 * - `progress`: a MessageEvent whose `data` is JSON with `percent` and `message`.
 * - `error`: the connection broke and is made again (`readyState` 0), or the stream is given up (`readyState` 2, `cause`).
 * - `end`: nothing follows; `readyState` is 2.
 */
export class TaskStream extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 2;

  readonly url: string;
  /** Why it was given up; undefined if it wasn't. */
  cause: TaskError | undefined;
  /** Resolves when nothing follows: after the final event, after `close()`, or when it is given up. */
  readonly done: Promise<void>;
  #state = TaskStream.CONNECTING;
  #abort = new AbortController();

  /** Opened by `TaskClient.streamTask` and `TaskClient.executeShell`. */
  constructor(url: string, headers: Record<string, string>, after: string, patienceMs: number) {
    super();
    this.url = url;
    this.done = this.#run(headers, after, patienceMs);
  }

  /** CONNECTING, OPEN or CLOSED. */
  get readyState(): number {
    return this.#state;
  }

  /** Ends the stream; the task goes on. */
  close(): void {
    this.#abort.abort();
    this.#state = TaskStream.CLOSED;
  }

  async #run(headers: Record<string, string>, after: string, patienceMs: number): Promise<void> {
    const connected = (open: boolean) => {
      if (this.#abort.signal.aborted) {
        return;
      }
      this.#state = open ? TaskStream.OPEN : TaskStream.CONNECTING;
      this.dispatchEvent(new Event(open ? "open" : "error"));
    };
    const { url } = this;
    try {
      for await (const event of read({ url, headers, after, patienceMs, connected, isLast, signal: this.#abort.signal })) {
        if (this.#abort.signal.aborted) {
          break;
        }
        const { event: type, data, id: lastEventId } = event;
        this.dispatchEvent(new MessageEvent(type, { data, lastEventId }));
      }
    } catch (error) {
      this.cause = error instanceof TaskError ? error : new TaskError(String(error), 0);
    }
    const closed = this.#abort.signal.aborted;
    this.close();
    if (this.cause !== undefined) {
      this.dispatchEvent(new Event("error"));
    } else if (!closed) {
      this.dispatchEvent(new Event("end"));
    }
  }
}

function isLast({ event, data }: ServerEvent): boolean {
  return event === "response" && (JSON.parse(data) as StreamResponse).event_response.result.data.is_final;
}
