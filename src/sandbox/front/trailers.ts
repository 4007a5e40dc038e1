import type { OutgoingMessage } from 'node:http';

/** Hands the trailer fields of a message on, as they stood. Call it when the message has ended. */
export const passTrailers = (raw: readonly string[], to: OutgoingMessage): void => {
  if (raw.length === 0) return;
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([raw[at] ?? '', raw[at + 1] ?? '']);
  to.addTrailers(fields);
};
