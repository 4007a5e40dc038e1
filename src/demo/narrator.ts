/** What the demo prints: one line for each step, with the time it took. */

export interface Narrator {
  /** A line of its own. */
  say(text: string): void;
  /** Runs one step and prints what it returns, with the time it took unless it gives another. A failure names the step. */
  step(title: string, work: () => Promise<string | Timed>): Promise<void>;
}

/** A step's sentence with a time that the step took itself, in milliseconds. */
export interface Timed {
  readonly text: string;
  readonly ms: number;
}

/** A step that did not do what the demo promises. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';
  constructor(step: string, cause: unknown) {
    super(`${step}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const MS_WIDTH = 6;
const TITLE_WIDTH = 11;

/** `  412 ms  start      the endpoint is up`: times in one column, so that they can be compared. */
export const stepLine = (title: string, { text, ms }: Timed): string =>
  `${Math.round(ms).toString().padStart(MS_WIDTH)} ms  ${title.padEnd(TITLE_WIDTH)}${text}`;

/** @param write takes a line with its end */
export const createNarrator = (write: (text: string) => void): Narrator => ({
  say: (text) => write(`${text}\n`),
  async step(title, work) {
    const startedAt = performance.now();
    try {
      const told = await work();
      const timed = typeof told === 'string' ? { text: told, ms: performance.now() - startedAt } : told;
      write(`${stepLine(title, timed)}\n`);
    } catch (error) {
      throw new StepFailed(title, error);
    }
  },
});
