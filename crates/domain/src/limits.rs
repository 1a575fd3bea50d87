//! The limits that hold on every surface, each with its reason.

use std::time::Duration;

/// Characters of a task's name: it is shown in tables and used as a metric's value.
pub const NAME_CHARS: usize = 200;
/// Bytes of a description: people read it.
pub const DESCRIPTION_BYTES: usize = 4 * 1024;
/// Bytes of a handler's payload and of a command's stdin: larger inputs belong into files.
pub const PAYLOAD_BYTES: usize = 1024 * 1024;
/// Bytes of a handler's result, as of its payload.
pub const RESULT_BYTES: usize = 1024 * 1024;
/// Bytes of a command line or of all its arguments: Linux takes 128 KiB in one argument.
pub const COMMAND_BYTES: usize = 128 * 1024;
/// Bytes of an image's reference: registries take 255 for the name, 128 for the tag and 71 for a digest.
pub const IMAGE_BYTES: usize = 512;
/// The least memory that the engine gives a container.
pub const CONTAINER_MEMORY_BYTES: u64 = 6 * 1024 * 1024;
/// The least share of a core, in thousandths, that the engine gives a container.
pub const CONTAINER_CPU_MILLIS: u32 = 10;
/// Entries of a task's environment.
pub const ENV_ENTRIES: usize = 256;
/// Bytes of a task's whole environment.
pub const ENV_BYTES: usize = 128 * 1024;
/// Labels of a worker, or that a task asks for.
pub const LABELS: usize = 16;
/// Characters of a label's key or value, of a worker's id and of an idempotency key.
pub const WORD_CHARS: usize = 200;
/// Characters of a queue's name.
pub const QUEUE_CHARS: usize = 100;
/// The longest an attempt may be allowed to run.
pub const TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);
/// What a timeout of 0 on the wire means.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
/// The most automatic retries.
pub const RETRIES: u32 = 100;
/// Tasks in one submit: one commit must stay short.
pub const BATCH_TASKS: usize = 10_000;
/// Bytes of one submit.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of one message on any gRPC connection of ours: a batch, or frames, with room to spare.
pub const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of one output frame: what is cut from a pipe at one time.
pub const FRAME_BYTES: usize = 256 * 1024;
/// Bytes of output that an exit report may carry, both streams together.
pub const TAIL_BYTES: usize = 32 * 1024;
/// Characters of a progress message.
pub const MESSAGE_CHARS: usize = 500;
/// Members of one array.
pub const ARRAY_MEMBERS: u64 = 10_000_000;
/// The largest index of an array's member.
pub const ARRAY_INDEX: u32 = 999_999_999;
/// Separate ranges of one array: a retry of scattered members needs many; each costs 16 bytes while the array is in memory.
pub const ARRAY_RANGES: usize = 1_000_000;
/// Bytes of one array's entries together: they travel in one message.
pub const ARRAY_ENTRIES_BYTES: usize = 12 * 1024 * 1024;
/// Bytes of one entry: it becomes a variable of a process's environment.
pub const ENTRY_BYTES: usize = 64 * 1024;
/// The latest time until which a task may be delayed: the year 2200.
pub const RUN_AT_MS: i64 = 7_258_118_400_000;
/// Queues paused at the same time.
pub const PAUSED_QUEUES: usize = 10_000;
/// Tasks that one call cancels.
pub const CANCEL_TASKS: usize = 1_000;
/// Tasks on one page of a list.
pub const PAGE_TASKS: usize = 1_000;
/// Tasks on a page if nothing is said.
pub const PAGE_TASKS_DEFAULT: usize = 100;
/// An attempt that took its worker down counts as a crash; a task is failed after so many, not handed on.
pub const CRASHES: u32 = 5;
/// Progress becomes an event at most so often per attempt.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Slots of one worker: each may be a process tree with two pipes.
pub const SLOTS: u32 = 10_000;
/// Attempts that one worker is given at a time, whatever it offers to take: its slots, and what is sent ahead of them.
pub const WORKER_ATTEMPTS: u64 = 16_384;
/// Attempts that a worker may say it holds: also those that have ended and wait to be acknowledged.
pub const HELD: usize = 65_536;
/// Handlers of one worker: a name that was ever offered is kept for ever.
pub const HANDLERS: usize = 1_000;
/// Workers known at the same time, those out of contact included; beyond it, names that nothing hangs on are forgotten.
pub const WORKERS: usize = 10_000;
/// Reports in one message of a worker, and frames of output: as many as a commit takes at once, with room to spare.
pub const REPORTS: usize = 16_384;
/// Bytes of what a worker says about why an attempt ended; what is beyond is cut.
pub const REASON_BYTES: usize = 4 * 1024;
/// Tokens kept, revoked ones included until their place is needed: every gateway holds all of them in memory.
pub const TOKENS: usize = 10_000;
/// Characters of a token's name: it is shown in tables.
pub const TOKEN_NAME_CHARS: usize = 100;
/// How long a token of the scope `enrol` is good if nothing is said.
pub const ENROL_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// No certificate that a worker got by joining lasts longer: a day more than they do.
pub const ENROLLED_LIFE: Duration = Duration::from_secs(398 * 24 * 3600);
/// The longest that a token may be given: 10 years. Without an expiry it has none.
pub const TOKEN_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
