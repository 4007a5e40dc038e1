import { validateHeaderName, validateHeaderValue } from 'node:http';
import { type HeaderList, withoutHeaders } from '../header-list.ts';
import { refuse } from '../refused-bind.ts';

/** Framing is the edge's own affair: an edit would break the message. */
const FRAMING: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'trailer',
]);

/** Splits `name:value` at the first colon. */
export const splitField = (field: string): readonly [string, string] => {
  const colon = field.indexOf(':');
  if (colon < 1) return refuse(`${field} is not a header of the form name:value.`);
  return [field.slice(0, colon).trim(), field.slice(colon + 1).trim()];
};

/** Refuses names that are no header names, or that frame the message. */
export const checkName = (name: string): void => {
  try {
    validateHeaderName(name);
  } catch {
    refuse(`${name} is not a header name.`);
  }
  if (FRAMING.has(name.toLowerCase())) refuse(`The header ${name} belongs to the edge.`);
};

/** Refuses values that cannot stand in a header. */
const checkValue = (name: string, value: string): void => {
  try {
    validateHeaderValue(name, value);
  } catch {
    refuse(`The value of the header ${name} holds characters that it must not.`);
  }
};

/** Removes, then sets: an added field takes the place of those of its name. */
export const headerEdits = (
  add: readonly (readonly [string, string])[],
  remove: readonly string[],
): ((headers: HeaderList) => HeaderList) => {
  for (const [name, value] of add) {
    checkName(name);
    checkValue(name, value);
  }
  remove.forEach(checkName);
  const gone = new Set([...remove, ...add.map(([name]) => name)].map((name) => name.toLowerCase()));
  const added = add.flat();
  return (headers) => {
    const kept = withoutHeaders(headers, gone);
    kept.push(...added);
    return kept;
  };
};
