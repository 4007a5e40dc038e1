/** Lines that carry their own checksum, so that what a power cut tore or a bad block altered is skipped, not believed. */
import { createHash } from 'node:crypto';

const SUM_LENGTH = 16;

const sumOf = (json: string): string => createHash('sha256').update(json).digest('hex').slice(0, SUM_LENGTH);

/** One line, its end included. */
export const encodeLine = (value: object): string => {
  const json = JSON.stringify(value);
  return `${sumOf(json)} ${json}\n`;
};

/** The value of one line without its end; undefined when it is damaged. */
export const decodeLine = (line: string): unknown => {
  const json = line.slice(SUM_LENGTH + 1);
  if (line[SUM_LENGTH] !== ' ' || sumOf(json) !== line.slice(0, SUM_LENGTH)) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
};
