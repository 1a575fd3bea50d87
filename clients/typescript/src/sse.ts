// Server-sent events: the format, and a stream that goes on by itself.

import { TaskError, refusal } from "./errors.js";

/** One event as it came. */
export interface ServerEvent {
  /** The last id that was said; empty before the first. */
  id: string;
  event: string;
  data: string;
}

/** Makes events of text, however it was cut. */
export class Parser {
  #rest = "";
  #started = false;
  #data: string[] = [];
  #event = "";
  #id = "";
  /** Milliseconds to wait before the next try, if the server said so. */
  retry: number | undefined;

  /** The events that this text completes. */
  push(text: string): ServerEvent[] {
    if (!this.#started && text !== "") {
      this.#started = true;
      text = text.replace(/^\uFEFF/, "");
    }
    this.#rest += text;
    const events: ServerEvent[] = [];
    for (;;) {
      // A carriage return at the very end may be the first half of a line's end.
      const end = /\r\n|\n|\r(?!$)/.exec(this.#rest);
      if (end === null) {
        return events;
      }
      const line = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const event = this.#line(line);
      if (event !== undefined) {
        events.push(event);
      }
    }
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") {
      const event = { id: this.#id, event: this.#event || "message", data: this.#data.join("\n") };
      const empty = this.#data.length === 0;
      this.#data = [];
      this.#event = "";
      return empty ? undefined : event;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") {
      this.#data.push(value);
    } else if (field === "event") {
      this.#event = value;
    } else if (field === "id" && !value.includes("\0")) {
      this.#id = value;
    } else if (field === "retry" && /^\d+$/.test(value)) {
      this.retry = Number(value);
    }
    return undefined;
  }
}

/** How a stream is read. */
export interface Reading {
  url: string;
  headers: Record<string, string>;
  /** The id of the last event that was seen; empty: from the beginning. */
  after: string;
  /** Ends it. */
  signal: AbortSignal;
  /** Milliseconds without any answer after which it is given up. */
  patienceMs: number;
  /** Called when a connection is made or lost. */
  connected?: (open: boolean) => void;
  /** Whether this event is the last one. */
  isLast: (event: ServerEvent) => boolean;
}

/** Pauses between tries, in milliseconds. */
const PAUSE_FIRST = 100;
const PAUSE_LAST = 2_000;
/** The server says something every 15 s; after so many milliseconds without a byte the connection is dead. */
const SILENCE = 45_000;

/**
 * The events of a stream, each once, whatever happens to the connection: it is made again, and goes on behind the last event.
 * Ends after the last event, when the server says that nothing follows (204), or when `signal` is raised.
 * Throws TaskError: refused, or nobody answered for `patienceMs`.
 */
export async function* read(reading: Reading): AsyncGenerator<ServerEvent, void, undefined> {
  let { after } = reading;
  let lost = Date.now();
  let pause = PAUSE_FIRST;
  let least = 0;
  while (!reading.signal.aborted) {
    let open = false;
    const connected = () => {
      open = true;
      reading.connected?.(true);
    };
    try {
      for await (const event of connection({ ...reading, connected }, after, (retry) => (least = retry))) {
        after = event.id;
        yield event;
        if (reading.isLast(event)) {
          return;
        }
      }
    } catch (error) {
      if (reading.signal.aborted) {
        return;
      }
      if (error instanceof Ended) {
        return;
      }
      if (open) {
        lost = Date.now();
      }
      const trouble = error instanceof TaskError ? error : new TaskError(String(error), 0);
      if (!trouble.passes || Date.now() - lost > reading.patienceMs) {
        throw trouble;
      }
    }
    if (open) {
      lost = Date.now();
      pause = PAUSE_FIRST;
    }
    reading.connected?.(false);
    await sleep(Math.max(pause, least), reading.signal);
    pause = Math.min(pause * 2, PAUSE_LAST);
  }
}

/** Nothing follows: the server said so. */
class Ended extends Error {}

/** One connection's events. Ends when the server ends it; throws when it breaks. */
async function* connection(
  { url, headers, signal, connected }: Reading,
  after: string,
  retry: (ms: number) => void,
): AsyncGenerator<ServerEvent, void, undefined> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal.addEventListener("abort", stop);
  let timer = setTimeout(stop, SILENCE);
  try {
    const resume: Record<string, string> = after === "" ? {} : { "Last-Event-ID": after };
    const answer = await call(url, {
      headers: { ...headers, ...resume, Accept: "text/event-stream" },
      cache: "no-store",
      signal: abort.signal,
    });
    if (answer.status === 204) {
      throw new Ended();
    }
    if (!answer.ok) {
      throw await refusal(answer);
    }
    if (answer.body === null) {
      throw new TaskError("the answer has no body", answer.status);
    }
    connected?.(true);
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    const parser = new Parser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE);
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        if (event.event === "problem") {
          const { error } = JSON.parse(event.data) as { error: string };
          throw new TaskError(error, 503);
        }
        // A connection that breaks before its first id goes on behind the last one.
        yield { ...event, id: event.id === "" ? after : event.id };
      }
      if (parser.retry !== undefined) {
        retry(parser.retry);
      }
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    abort.abort();
  }
}

/** A fetch whose failures are TaskErrors. */
export async function call(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TaskError(`no answer from ${new URL(url).origin}: ${why}`, 0);
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over);
    if (signal.aborted) {
      over();
    }
  });
}
