/** Failures that the stand-in shows on request, so that a client's retries can be tried. */
import type { ServerResponse } from 'node:http';

/** Mutable; every number counts down or stands until it is set to 0. */
export interface ApiFaults {
  /** Every n-th answer is lost after the work was done: the connection is cut instead. 0 = none. */
  dropEvery: number;
  /** The next so many answers are lost in that way. */
  dropNext: number;
  /** The next so many requests are refused with 429, ERR_NGROK_226, before anything is done. */
  tooMany: number;
  /** The same with ERR_NGROK_225. */
  tooManyAtOnce: number;
  /** The next so many requests fail with 500 before anything is done. */
  failing: number;
  /** The next so many answers end in the middle of their body. */
  halfClosed: number;
  /** Every answer comes that much later. */
  delayMs: number;
}

export const noFaults = (): ApiFaults => ({
  dropEvery: 0,
  dropNext: 0,
  tooMany: 0,
  tooManyAtOnce: 0,
  failing: 0,
  halfClosed: 0,
  delayMs: 0,
});

type Countdown = 'dropNext' | 'tooMany' | 'tooManyAtOnce' | 'failing' | 'halfClosed';

/** Uses up one of a counted fault; false when none is left. */
export const takeFault = (faults: ApiFaults, name: Countdown): boolean => {
  if (faults[name] <= 0) return false;
  faults[name] -= 1;
  return true;
};

/** Sends an answer, or what the faults make of it. `count` is the number of answers so far, this one included. */
export const sendAnswer = (
  response: ServerResponse,
  faults: ApiFaults,
  count: number,
  status: number,
  body: object | null,
): void => {
  if (takeFault(faults, 'dropNext') || (faults.dropEvery > 0 && count % faults.dropEvery === 0)) {
    response.socket?.destroy();
    return;
  }
  const bytes = Buffer.from(body === null ? '' : JSON.stringify(body));
  const headers = body === null ? {} : { 'content-type': 'application/json', 'content-length': bytes.length };
  if (takeFault(faults, 'halfClosed')) {
    // An answer without a body cannot stop inside it; it is cut before its head.
    if (body === null) {
      response.socket?.destroy();
      return;
    }
    response.writeHead(status, headers);
    response.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () => response.socket?.end());
    return;
  }
  response.writeHead(status, headers).end(bytes);
};
