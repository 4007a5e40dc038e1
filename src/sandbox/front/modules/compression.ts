import type { Transform } from 'node:stream';
import { constants, createBrotliCompress, createDeflate, createGzip } from 'node:zlib';
import { type HeaderList, headerTokens, headerValue, withoutHeaders } from '../header-list.ts';
import type { Coding, RequestHead, ResponseHead } from '../stages.ts';

/** What the visitor takes: the first of `codings` that `Accept-Encoding` names with a weight above 0. */
export const acceptedCoding = (headers: readonly string[], codings: readonly Coding[]): Coding | null => {
  const weights = new Map(
    headerTokens(headers, 'accept-encoding').map((token) => {
      const [name = '', ...parameters] = token.split(';').map((part) => part.trim());
      const weight = parameters.find((parameter) => parameter.startsWith('q='));
      return [name, weight === undefined ? 1 : Number(weight.slice(2))];
    }),
  );
  return codings.find((coding) => (weights.get(coding) ?? weights.get('*') ?? 0) > 0) ?? null;
};

const NO_BODY: ReadonlySet<number> = new Set([204, 205, 206, 304]);
const CHANGED: ReadonlySet<string> = new Set(['content-length', 'accept-ranges', 'content-md5', 'digest']);

/** The coding for this answer; null when it has no body, is encoded already or must not be transformed. */
export const codingFor = (request: RequestHead, response: ResponseHead): Coding | null => {
  if (response.codings.length === 0 || request.method === 'HEAD' || NO_BODY.has(response.status)) return null;
  if (headerValue(response.headers, 'content-encoding') !== null) return null;
  if (headerValue(response.headers, 'content-length') === '0') return null;
  if (headerTokens(response.headers, 'cache-control').includes('no-transform')) return null;
  return acceptedCoding(request.headers, response.codings);
};

/** The header fields of an answer once it is encoded: no length, a weak entity tag, and what it varies by. */
export const encodedHeaders = (headers: readonly string[], coding: Coding): HeaderList => {
  const changed = withoutHeaders(headers, CHANGED).map((field, at, all) =>
    at % 2 === 1 && all[at - 1]?.toLowerCase() === 'etag' && field.startsWith('"') ? `W/${field}` : field,
  );
  changed.push('Content-Encoding', coding, 'Vary', 'Accept-Encoding');
  return changed;
};

/** Flushes after each write, so that a stream of events is not held back. */
export const encoder = (coding: Coding): Transform => {
  switch (coding) {
    case 'gzip':
      return createGzip({ flush: constants.Z_SYNC_FLUSH });
    case 'deflate':
      return createDeflate({ flush: constants.Z_SYNC_FLUSH });
    case 'br':
      return createBrotliCompress({
        flush: constants.BROTLI_OPERATION_FLUSH,
        params: { [constants.BROTLI_PARAM_QUALITY]: 4 },
      });
  }
};
