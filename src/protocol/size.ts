/** Keeping messages short: metered links pay by the byte, and a broker may refuse what is long. */

/** Most bytes of one upstream message with up to `ENDPOINTS_IN_LIMIT` endpoints. */
export const MAX_UPSTREAM_BYTES = 2048;
const ENDPOINTS_IN_LIMIT = 8;

/** The limit for a message about so many endpoints: more than eight get their share on top. */
export const upstreamLimit = (endpoints: number): number =>
  Math.ceil((MAX_UPSTREAM_BYTES * Math.max(endpoints, ENDPOINTS_IN_LIMIT)) / ENDPOINTS_IN_LIMIT);

/** Bytes of a message on the wire, without its topic. */
export const encodedBytes = (message: object): number => Buffer.byteLength(JSON.stringify(message));

/** At most `max` characters (code points, as schemas count), the last one an ellipsis where something was cut off. */
export const cutText = (text: string, max: number): string => {
  if (text.length <= max) return text;
  const characters = [...text];
  return characters.length <= max ? text : `${characters.slice(0, max - 1).join('')}…`;
};

/** One way to make a message smaller; undefined when it has nothing left to give. */
export type Trim<T> = (message: T) => T | undefined;

/** Applies the trims in their order, each as often as it yields something, until the message fits or none is left. */
export const fitInto = <T extends object>(message: T, maxBytes: number, trims: readonly Trim<T>[]): T => {
  let fitted = message;
  for (const trim of trims) {
    while (encodedBytes(fitted) > maxBytes) {
      const smaller = trim(fitted);
      if (smaller === undefined) break;
      fitted = smaller;
    }
  }
  return fitted;
};
