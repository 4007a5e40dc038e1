import { parseRequestHead, parseResponseHead } from './http-head.ts';
import { createMessageReader } from './http-stream.ts';

/** What a tracker counts; one for all connections of an endpoint. */
export interface HttpSink {
  /** A request, with the text of its head. */
  request(head: string): void;
  /** A response head: its status, and the milliseconds since the head of its request. */
  response(status: number, tookMs: number | null): void;
}

/** Follows the requests and responses on one HTTP/1.x connection. Never changes, keeps or delays a byte. */
export interface HttpTracker {
  toUpstream(chunk: Uint8Array, nowMs: number): void;
  toVisitor(chunk: Uint8Array, nowMs: number): void;
  /** The upstream will send no more. */
  upstreamEnded(): void;
  /** Requests begun whose response is not yet complete, or an estimate once the bytes could not be followed. */
  isInFlight(nowMs: number): boolean;
  /** True after a 101 (or an accepted CONNECT): a connection of another protocol from there on. */
  readonly isUpgraded: boolean;
  /** True when at least one request was sent, and the last one whole. */
  readonly isRequestComplete: boolean;
  /** True when the bytes could not be followed: counts stop, and `isInFlight` is an estimate. */
  readonly isBlind: boolean;
}

/** Without framing: how long after a byte the connection still counts as busy. */
const BLIND_QUIET_MS = 2_000;
/** More unanswered requests than this on one connection are no pipelining that we want to follow. */
const MAX_PIPELINED = 1_000;

interface Pending {
  method: string;
  headAtMs: number | null;
  isComplete: boolean;
}

/** Makes a tracker for one connection. */
export const createHttpTracker = (sink: HttpSink): HttpTracker => {
  const pending: Pending[] = [];
  let isUpgraded = false;
  let isBlind = false;
  let isFinalHeadSeen = false;
  let now = 0;
  let lastByteAtMs = 0;
  let lastWasToUpstream = false;

  const requests = createMessageReader({
    begun() {
      pending.push({ method: '', headAtMs: null, isComplete: false });
      if (pending.length > MAX_PIPELINED) isBlind = true;
    },
    head(text) {
      const head = parseRequestHead(text);
      const last = pending.at(-1);
      if (head === null || last === undefined) return null;
      last.method = head.method;
      last.headAtMs = now;
      sink.request(text);
      return head.body;
    },
    done() {
      const last = pending.at(-1);
      if (last !== undefined) last.isComplete = true;
      settle();
    },
  });

  /** A request is over when its response is complete, even if the upstream answered before it had read all of it. */
  let answered = 0;
  const settle = (): void => {
    while (answered > 0 && pending[0]?.isComplete) {
      pending.shift();
      answered -= 1;
    }
  };

  const responses = createMessageReader({
    begun: () => undefined,
    head(text) {
      const request = pending[answered];
      // An answer before the head of its request was read, or to none: only an error answer can be that.
      const method = request?.headAtMs == null ? 'GET' : request.method;
      const head = parseResponseHead(text, method);
      if (head === null) return null;
      const { status } = head;
      const isSwitch = status === 101 || (method === 'CONNECT' && status >= 200 && status < 300);
      isFinalHeadSeen = status >= 200 || isSwitch;
      if (isFinalHeadSeen) sink.response(status, request?.headAtMs == null ? null : now - request.headAtMs);
      if (!isSwitch) return head.body;
      isUpgraded = true;
      return 'raw';
    },
    done() {
      if (!isFinalHeadSeen) return;
      if (answered < pending.length) answered += 1;
      settle();
    },
  });

  const see = (nowMs: number, toUpstream: boolean): void => {
    now = nowMs;
    lastByteAtMs = nowMs;
    lastWasToUpstream = toUpstream;
  };

  return {
    toUpstream(chunk, nowMs) {
      see(nowMs, true);
      if (!isBlind && !isUpgraded && !requests.push(chunk)) isBlind = true;
    },
    toVisitor(chunk, nowMs) {
      see(nowMs, false);
      if (!isBlind && !isUpgraded && !responses.push(chunk)) isBlind = true;
    },
    upstreamEnded() {
      if (!isBlind && !isUpgraded) responses.end();
    },
    isInFlight(nowMs) {
      if (isUpgraded) return true;
      if (isBlind) return lastWasToUpstream || nowMs - lastByteAtMs < BLIND_QUIET_MS;
      return pending.length > 0 || responses.isBusy;
    },
    get isUpgraded() {
      return isUpgraded;
    },
    get isRequestComplete() {
      return pending.length > 0 && pending.at(-1)?.isComplete === true;
    },
    get isBlind() {
      return isBlind;
    },
  };
};
