/** A call that was refused, or that nobody answered (`status` 0). */
export class TaskError extends Error {
  override readonly name = "TaskError";

  constructor(
    message: string,
    /** The HTTP status; 0 if there was no answer. */
    readonly status: number,
    /** What the error means for whoever asked. */
    readonly details: string = "",
  ) {
    super(message);
  }

  /** Whether trying again later may help. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The error that an answer is. */
export async function refusal(answer: Response): Promise<TaskError> {
  const text = await answer.text().catch(() => "");
  try {
    const { error, details } = JSON.parse(text) as { error?: unknown; details?: unknown };
    if (typeof error === "string") {
      return new TaskError(error, answer.status, typeof details === "string" ? details : "");
    }
  } catch {
    // Somebody in between answered in other words.
  }
  return new TaskError(text.slice(0, 200) || `${answer.status} ${answer.statusText}`, answer.status);
}
