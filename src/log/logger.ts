/**
 * pino on stdout, with two guards before a line leaves: paths that may hold a secret are redacted, and every live secret
 * is taken out of the finished text, since paths miss what stands in a sentence.
 */
import { type Logger, pino } from 'pino';
import { scrubText } from './scrub-text.ts';

export interface LoggerOptions {
  readonly level: string;
  /** The secrets of the moment, asked for each line. */
  secrets(): readonly string[];
  readonly write?: (line: string) => void;
}

const SECRET_PATHS = [
  'authtoken',
  'token',
  'password',
  'sealed',
  'd',
  'tok',
  '*.authtoken',
  '*.token',
  '*.password',
  '*.sealed',
  '*.d',
  '*.tok',
];

export const createLogger = ({ level, secrets, write }: LoggerOptions): Logger => {
  const out = write ?? ((line: string): void => void process.stdout.write(line));
  return pino(
    {
      level,
      base: null,
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    { write: (line: string) => out(scrubText(line, secrets())) },
  );
};
