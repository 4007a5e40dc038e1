/** What every command of the command line gets, and how its exit code comes out. */
import type { Clock } from '../../core/clock.ts';
import { createOutput, type Output, type Streams } from './output.ts';

export interface Cli extends Streams {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** Reads standard input to its end. */
  readonly readStdin: () => Promise<Uint8Array>;
  output(options: { readonly json?: boolean }): Output;
  /** Wraps a command's work for commander: what it returns becomes the exit code. */
  action<A extends readonly unknown[]>(work: (...args: A) => Promise<number>): (...args: A) => Promise<void>;
}

export interface CliInputs extends Streams {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly readStdin: () => Promise<Uint8Array>;
  readonly exit: (code: number) => void;
}

/** Makes the context of one run. */
export const createCli = (inputs: CliInputs): Cli => ({
  ...inputs,
  output: (options) => createOutput(inputs, options.json === true),
  action:
    (work) =>
    async (...args) => {
      inputs.exit(await work(...args));
    },
});
