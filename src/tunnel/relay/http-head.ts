/** How the length of a message body is known (RFC 9112, section 6). */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

export interface RequestHead {
  readonly method: string;
  readonly body: BodyFraming;
}

export interface ResponseHead {
  readonly status: number;
  readonly body: BodyFraming;
}

const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) \S+ HTTP\/1\.[01]$/;
const STATUS_LINE = /^HTTP\/1\.[01] ([1-5][0-9][0-9])(?: .*)?$/;

/** The two headers that frame a body. Null when they contradict each other or say something we do not know. */
const framingHeaders = (
  lines: readonly string[],
): { readonly length: number | null; readonly isChunked: boolean; readonly isCoded: boolean } | null => {
  let length: number | null = null;
  let isChunked = false;
  let isCoded = false;
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) return null;
    // Only names of these two lengths are worth lower-casing.
    if (colon !== 14 && colon !== 17) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'content-length') {
      if (!/^\d{1,15}$/.test(value)) return null;
      const bytes = Number(value);
      if (length !== null && length !== bytes) return null;
      length = bytes;
    } else if (name === 'transfer-encoding') {
      isCoded = true;
      const codings = value.toLowerCase().split(',');
      isChunked = codings.at(-1)?.trim() === 'chunked';
    }
  }
  if (isCoded && length !== null) return null;
  return { length, isChunked, isCoded };
};

const linesOf = (head: string): readonly string[] => head.split('\r\n');

/** Reads the head of a request (without the empty line at its end); null when it is not HTTP/1.x as we know it. */
export const parseRequestHead = (head: string): RequestHead | null => {
  const [first = '', ...rest] = linesOf(head);
  const method = REQUEST_LINE.exec(first)?.[1];
  const framing = method === undefined ? null : framingHeaders(rest);
  if (method === undefined || framing === null) return null;
  if (framing.isChunked) return { method, body: { kind: 'chunked' } };
  if (framing.isCoded) return null;
  return { method, body: framing.length ? { kind: 'length', bytes: framing.length } : { kind: 'none' } };
};

/** Reads the head of a response to `method`; null when it is not HTTP/1.x as we know it. */
export const parseResponseHead = (head: string, method: string): ResponseHead | null => {
  const [first = '', ...rest] = linesOf(head);
  const digits = STATUS_LINE.exec(first)?.[1];
  const framing = digits === undefined ? null : framingHeaders(rest);
  if (digits === undefined || framing === null) return null;
  const status = Number(digits);
  const hasNoBody = status < 200 || status === 204 || status === 304 || method === 'HEAD';
  if (hasNoBody) return { status, body: { kind: 'none' } };
  if (framing.isChunked) return { status, body: { kind: 'chunked' } };
  if (framing.isCoded || framing.length === null) return { status, body: { kind: 'until-close' } };
  return {
    status,
    body: framing.length > 0 ? { kind: 'length', bytes: framing.length } : { kind: 'none' },
  };
};
