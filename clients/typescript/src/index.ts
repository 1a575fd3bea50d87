// Client of Baton, the task orchestrator. See docs/clients.md.

export { GATEWAY_DEFAULT, TaskClient, isFinal, resultOf } from "./client.js";
export type { DockerOperation, DockerOptions, Execution, TaskClientOptions } from "./client.js";
export { TaskError } from "./errors.js";
export { TaskStream } from "./stream.js";
export * from "./types.js";
