/** One copy of a stored value: JSON with a counter and a digest, so that an empty, cut or zeroed file shows. */
import { createHash } from 'node:crypto';

/** A copy as read back: which save it is from, and the value's JSON. */
export interface SlotContent {
  readonly counter: number;
  readonly json: string;
}

const digestOf = (counter: number, json: string): string =>
  createHash('sha256').update(`${counter}\n${json}`).digest('hex');

/** The file's text. `json` must be the output of `JSON.stringify`. */
export const encodeSlot = ({ counter, json }: SlotContent): string =>
  `{"counter":${counter},"sha256":"${digestOf(counter, json)}","value":${json}}\n`;

// The value is cut out as text, not parsed and printed again: the digest is over the bytes on disk.
const SLOT = /^\{"counter":(\d{1,16}),"sha256":"([0-9a-f]{64})","value":(.*)\}\n?$/s;

/** Reads a copy; undefined when it is damaged in any way. */
export const decodeSlot = (bytes: Uint8Array): SlotContent | undefined => {
  const [, digits, digest, json] = SLOT.exec(Buffer.from(bytes).toString('utf8')) ?? [];
  if (digits === undefined || json === undefined) return undefined;
  const counter = Number(digits);
  return digest === digestOf(counter, json) ? { counter, json } : undefined;
};
