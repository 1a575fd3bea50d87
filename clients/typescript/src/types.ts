// What travels. Fields may be added to answers at any time; none is taken away or changes its meaning.

/** The words for a task's state. */
export type TaskStatus = "pending" | "sent" | "in_progress" | "completed" | "failed" | "timeout" | "cancelled";

/** The statuses after which nothing follows. */
export const FINAL: readonly TaskStatus[] = ["completed", "failed", "timeout", "cancelled"];

/** What the creating calls answer: the task is on disk. */
export interface AcceptedTask {
  task_id: string;
  /** The worker that was asked for, or empty. */
  agent_id: string;
  /** Always `pending`. */
  status: TaskStatus;
  created_at: string;
  /** Why it would wait right now; empty if it would not. */
  waiting_for?: Waiting[];
}

/** One reason why a task waits: `code` for programs, `text` for people. */
export interface Waiting {
  code: string;
  text: string;
}

/** One execution of a task. */
export interface Attempt {
  /** From 1. */
  number: number;
  agent_id: string;
  dispatched_at: string;
  started_at?: string;
  ended_at?: string;
  /** How it ended, in words; empty while it has not. */
  outcome: string;
  exit_code?: number;
  stdout_bytes: number;
  stderr_bytes: number;
}

/** A task as it stands. Times are RFC 3339, UTC. */
export interface Task {
  task_id: string;
  /** The worker of the latest attempt; before the first the one that was asked for, or empty. */
  agent_id: string;
  status: TaskStatus;
  /** The finer word: delayed, queued, backing_off, dispatched, running, cancelling, completed, failed, timed_out, cancelled. */
  state: string;
  created_at: string;
  updated_at: string;
  finished_at?: string;
  /** How long an attempt may run: `5m0s`; `0s` is no limit. */
  timeout: string;
  name: string;
  queue: string;
  priority: number;
  /** The number of the latest attempt; 0 before the first. */
  attempt: number;
  attempts: Attempt[];
  /** Percent. */
  progress: number;
  /** What it said last or, once it has ended, why it ended so. */
  message: string;
  waiting_for: Waiting[];
  /** Once it has ended: the code; 128+n for signal n; -1 if it never started or timed out. */
  exit_code?: number;
  /** Final bytes of a handler: as text or, if they are none, as base64. */
  result?: string;
  result_base64?: string;
  retry_of?: string;
  /** Of an array: its members by state. */
  members?: Record<string, number>;
  array_id?: string;
  array_index?: number;
  entry?: string;
}

/** A command. */
export interface ShellSpec {
  /** A line for `/bin/sh -c`; with `args` the program, started without a shell. */
  command: string;
  args?: string[];
  /** Must exist on the worker; without it a fresh directory. */
  working_dir?: string;
  env?: Record<string, string>;
  stdin?: string;
  stdin_base64?: string;
}

/** A task to run: with `shell` a command, else one for the handler called `name`. */
export interface TaskSpec {
  /** 1 to 200 characters. Of a handler's task the handler's name; a command is called by its beginning. */
  name?: string;
  description?: string;
  shell?: ShellSpec;
  /** The input of a handler, at most 1 MiB. */
  payload?: string;
  payload_base64?: string;
  /** Seconds that an attempt may run, at most 30 days; 0 means 300. */
  timeout_secs?: number;
  /** Milliseconds instead; 0 means without limit. */
  timeout_ms?: number;
  /** How often a failed attempt is tried again, 0 to 100. */
  max_retries?: number;
  /** Repeating a submit with the same key and body in the same queue gives the same task. */
  idempotency_key?: string;
  /** Only this worker may run it. */
  worker?: string;
  /** Its worker must carry these labels. */
  labels?: Record<string, string>;
  /** Higher runs first. */
  priority?: number;
  queue?: string;
  /** Makes it many tasks in one; `entries`: none, or one for each member. */
  array?: { ranges: { first: number; last: number }[]; entries?: string[] };
  /** Not before this moment, in Unix milliseconds. */
  run_at_ms?: number;
  /** What follows an attempt whose worker is lost. */
  on_lost?: "retry" | "fail" | "wait";
}

/** Which tasks. */
export interface TaskFilter {
  status?: TaskStatus | TaskStatus[];
  agent_id?: string;
  name?: string;
  queue?: string;
  /** Members of this array instead of tasks. */
  array?: string;
  /** Tasks a page, 1 to 1,000; 100 if nothing is said. */
  limit?: number;
  cursor?: string;
}

/** A page of tasks, newest first. It may be short, even empty, though more follow. */
export interface TaskPage {
  tasks: Task[];
  /** Where the next one begins; absent on the last. */
  next_cursor?: string;
}

/** What a story's events have in common; `id` is for `watch(taskId, { after: id })`. */
export interface Told {
  id: string;
  task_id: string;
  /** Position in the story, from 1. */
  sequence: number;
  at: string;
  /** From 1; 0 before the first. */
  attempt: number;
}

/** A task changed its state. */
export interface StateEvent extends Told {
  type: "state";
  status: TaskStatus;
  state: string;
  message: string;
  agent_id: string;
  /** Nothing follows. */
  final: boolean;
  exit_code?: number;
}

/** A task said how far it is. */
export interface ProgressEvent extends Told {
  type: "progress";
  percent: number;
  message: string;
}

/** A task wrote something. */
export interface OutputEvent extends Told {
  type: "output";
  stream: "stdout" | "stderr";
  /** Position of the first byte in its stream of this attempt. */
  offset: number;
  /** The bytes as they are. */
  bytes: Uint8Array;
  /** Bytes that a limit cut here. */
  dropped: number;
}

export type TaskEvent = StateEvent | ProgressEvent | OutputEvent;

/** The data of `response` events, as JSON in `event.data`. */
export interface StreamResponse {
  event_response: {
    event_ref: string;
    status: "IN_PROGRESS" | "SUCCESS" | "FAILURE" | "TIMEOUT" | "CANCELLED";
    result: {
      data: {
        /** What was written; of a status the state's word. */
        output?: string;
        /** Instead of `output`, of bytes that are no text. */
        output_base64?: string;
        type: "stdout" | "stderr" | "status";
        /** Unix milliseconds. */
        timestamp: number;
        sequence: number;
        is_final: boolean;
        exit_code: number;
        attempt?: number;
        message?: string;
      };
    };
  };
}
