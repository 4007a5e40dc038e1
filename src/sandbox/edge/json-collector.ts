/** An RPC's text that is too long or ends too early. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const MOST_BYTES = 1_048_576;

const isBlank = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/**
 * Finds the end of one JSON object in bytes that come in pieces. The agent sends neither a length nor a newline nor
 * the end of the stream, so brackets outside strings are counted.
 */
export class JsonCollector {
  #parts: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** Returns the object once it is whole, undefined before; throws `JsonTextError` or `SyntaxError` for a bad text. */
  push(chunk: Buffer): unknown {
    this.#bytes += chunk.length;
    if (this.#bytes > MOST_BYTES) throw new JsonTextError(`a request has at most ${MOST_BYTES} bytes`);
    const end = this.#scan(chunk);
    this.#parts.push(end < 0 ? chunk : chunk.subarray(0, end));
    if (end < 0) return undefined;
    return JSON.parse(Buffer.concat(this.#parts).toString('utf8')) as unknown;
  }

  /** Offset behind the closing bracket, or -1. */
  #scan(chunk: Buffer): number {
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (this.#inString) this.#scanString(byte);
      else if (byte === QUOTE) this.#inString = true;
      else if (byte === OPEN || byte === OPEN_LIST) this.#depth += 1;
      else if (byte === CLOSE || byte === CLOSE_LIST) {
        this.#depth -= 1;
        if (this.#depth <= 0) return at + 1;
      } else if (this.#depth === 0 && !isBlank(byte)) throw new JsonTextError('a request is one JSON object');
    }
    return -1;
  }

  #scanString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }
}
