import type { BodyFraming } from './http-head.ts';

/** What one direction of an HTTP/1.x connection tells while its bytes pass. Returning null from `head` means "no HTTP". */
export interface MessageSink {
  /** The first byte of a message. */
  begun(): void;
  /** A complete head, without the empty line: how its body is framed; `'raw'` when the bytes after it are no HTTP; null when it cannot be read. */
  head(text: string): BodyFraming | 'raw' | null;
  /** The last byte of a message. */
  done(): void;
}

/** Follows messages in one direction; looks at bytes, keeps none but an unfinished head. */
export interface MessageReader {
  /** False once the bytes cannot be followed any more; then every later call does nothing. */
  push(chunk: Uint8Array): boolean;
  /** The sender ended: completes a body that lasts until then. */
  end(): void;
  /** True while a message is under way. */
  readonly isBusy: boolean;
}

const MAX_HEAD_BYTES = 65_536;
const MAX_CHUNK_LINE_BYTES = 4_096;
const CR = 13;
const LF = 10;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

type Phase =
  | 'start'
  | 'head'
  | 'length'
  | 'chunk-size'
  | 'chunk-data'
  | 'chunk-end'
  | 'trailer'
  | 'close'
  | 'raw'
  | 'lost';

const isTokenChar = (byte: number): boolean =>
  (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || (byte >= 48 && byte <= 57);

/** Makes a reader for one direction. */
export const createMessageReader = (sink: MessageSink): MessageReader => {
  let phase: Phase = 'start';
  let head: Buffer | null = null;
  /** Bytes left of a body or chunk; in `chunk-size` and `trailer`, bytes of the line so far. */
  let left = 0;
  let size = 0;
  /** In `chunk-size`: 0 reading digits, 1 in an extension. In `chunk-end` and `trailer`: 1 after CR. */
  let mark = 0;

  const finish = (): void => {
    phase = 'start';
    sink.done();
  };
  const enter = (framing: BodyFraming | 'raw' | null): void => {
    head = null;
    if (framing === null) phase = 'lost';
    else if (framing === 'raw') phase = 'raw';
    else if (framing.kind === 'none') finish();
    else if (framing.kind === 'length') {
      phase = 'length';
      left = framing.bytes;
    } else if (framing.kind === 'chunked') startChunk();
    else phase = 'close';
  };
  const startChunk = (): void => {
    phase = 'chunk-size';
    left = 0;
    size = 0;
    mark = 0;
  };

  /** Reads head bytes from `at`; returns where the body begins. */
  const readHead = (chunk: Buffer, at: number): number => {
    const before = head?.length ?? 0;
    const all = head === null ? chunk.subarray(at) : Buffer.concat([head, chunk.subarray(at)]);
    const end = all.indexOf(END_OF_HEAD, Math.max(0, before - 3));
    if (end === -1) {
      if (all.length > MAX_HEAD_BYTES) phase = 'lost';
      // The chunk may be a lent buffer that is used again: keep a copy.
      else head = head === null ? Buffer.from(all) : all;
      return chunk.length;
    }
    enter(sink.head(all.toString('latin1', 0, end)));
    return at + end + END_OF_HEAD.length - before;
  };

  const readChunkSize = (byte: number): void => {
    left += 1;
    if (left > MAX_CHUNK_LINE_BYTES) phase = 'lost';
    else if (byte === LF) {
      if (left < 3 || mark !== 2) phase = 'lost';
      else if (size === 0) {
        phase = 'trailer';
        left = 0;
        mark = 0;
      } else {
        phase = 'chunk-data';
        left = size;
      }
    } else if (byte === CR) mark = 2;
    else if (mark === 2) phase = 'lost';
    else if (mark === 0) {
      const digit = Number.parseInt(String.fromCharCode(byte), 16);
      if (!Number.isNaN(digit)) {
        size = size * 16 + digit;
        if (size > Number.MAX_SAFE_INTEGER / 16) phase = 'lost';
      } else if (left > 1 && (byte === 59 || byte === 32 || byte === 9)) mark = 1;
      else phase = 'lost';
    }
  };
  /** Trailer lines up to the empty one. `left` counts bytes of the present line. */
  const readTrailer = (byte: number): void => {
    if (byte === LF && mark === 1) {
      if (left === 0) finish();
      left = 0;
      mark = 0;
    } else if (byte === CR) mark = 1;
    else {
      left += 1;
      mark = 0;
      if (left > MAX_CHUNK_LINE_BYTES) phase = 'lost';
    }
  };

  const push = (input: Uint8Array): boolean => {
    const chunk = Buffer.isBuffer(input)
      ? input
      : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
    let at = 0;
    while (at < chunk.length) {
      const byte = chunk[at] ?? 0;
      switch (phase) {
        case 'raw':
        case 'close':
          return true;
        case 'lost':
          return false;
        case 'start':
          // Empty lines before a message are allowed.
          if (byte === CR || byte === LF) at += 1;
          else if (isTokenChar(byte)) {
            phase = 'head';
            sink.begun();
          } else phase = 'lost';
          break;
        case 'head':
          at = readHead(chunk, at);
          break;
        case 'length':
        case 'chunk-data': {
          const used = Math.min(left, chunk.length - at);
          left -= used;
          at += used;
          if (left > 0) break;
          if (phase === 'length') finish();
          else {
            phase = 'chunk-end';
            mark = 0;
          }
          break;
        }
        case 'chunk-size':
          readChunkSize(byte);
          at += 1;
          break;
        case 'chunk-end':
          if (byte === CR && mark === 0) mark = 1;
          else if (byte === LF && mark === 1) startChunk();
          else phase = 'lost';
          at += 1;
          break;
        case 'trailer':
          readTrailer(byte);
          at += 1;
          break;
      }
    }
    // A head that could not be read, or a body that broke its own framing.
    return (phase as Phase) !== 'lost';
  };

  return {
    push,
    end() {
      if (phase === 'close') finish();
    },
    get isBusy() {
      return phase !== 'start' && phase !== 'raw' && phase !== 'lost';
    },
  };
};
