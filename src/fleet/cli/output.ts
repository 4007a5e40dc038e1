/** What the command line prints, for people, for scripts and for both kinds of failure. */
import { EXIT, type Fault } from '../../core/errors.ts';

/** Where a command prints. With `isJson` exactly one JSON document goes to stdout and nothing else. */
export interface Output {
  readonly isJson: boolean;
  /** A line for people; nothing with `--json`. */
  line(text: string): void;
  /** The one JSON document; nothing without `--json`. */
  json(value: unknown): void;
  /** A state on the way: rewritten in place on a terminal, a line of its own otherwise, nothing with `--json`. */
  progress(text: string): void;
  /** A hint on stderr. */
  note(text: string): void;
  /** Says what went wrong and gives the exit code for it. */
  fail(f: Fault): number;
}

export interface Streams {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream;
}

/** The exit code that a fault stands for. */
export const exitCodeOf = (f: Fault): number => {
  switch (f.code) {
    case 'BAD_ARGS':
    case 'CONFIG_INVALID':
      return EXIT.usage;
    case 'BROKER_NET':
    case 'DEADLINE':
      return EXIT.timeout;
    case 'DAEMON_UNREACHABLE':
      return EXIT.unavailable;
    default:
      return EXIT.failed;
  }
};

const CLEAR_LINE = '\r\u001b[2K';

/** Makes the output of one run. */
export const createOutput = ({ stdout, stderr }: Streams, isJson: boolean): Output => {
  let isInProgress = false;
  const clear = (): void => {
    if (isInProgress) stdout.write(CLEAR_LINE);
    isInProgress = false;
  };
  return {
    isJson,
    line(text) {
      clear();
      if (!isJson) stdout.write(`${text}\n`);
    },
    json(value) {
      if (isJson) stdout.write(`${JSON.stringify(value)}\n`);
    },
    progress(text) {
      if (isJson) return;
      if (stdout.isTTY !== true) {
        stdout.write(`${text}\n`);
        return;
      }
      clear();
      stdout.write(text);
      isInProgress = true;
    },
    note(text) {
      clear();
      stderr.write(`lockkeeper: ${text}\n`);
    },
    fail(f) {
      clear();
      if (isJson) stdout.write(`${JSON.stringify(f)}\n`);
      stderr.write(`lockkeeper: ${f.code}: ${f.message}\n`);
      return exitCodeOf(f);
    },
  };
};
