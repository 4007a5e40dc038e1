/** What the first bytes of a connection tell. */
export type Hello =
  | { readonly kind: 'more' }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'hello'; readonly serverName: string | null };

const MORE: Hello = { kind: 'more' };
const FOREIGN: Hello = { kind: 'foreign' };

/** A ClientHello larger than this is no honest one, bytes. */
const MOST_HELLO_BYTES = 64 * 1024;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/**
 * Reads the server name out of the first bytes of a TLS connection, a ClientHello cut into several records included.
 * `more` asks for further bytes, `foreign` is no TLS.
 */
export const readHello = (bytes: Buffer): Hello => {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] !== HANDSHAKE_RECORD || (at + 1 < bytes.length && bytes[at + 1] !== 3)) return FOREIGN;
    if (at + 5 > bytes.length) break;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0) return FOREIGN;
    parts.push(bytes.subarray(at + 5, Math.min(at + 5 + length, bytes.length)));
    at += 5 + length;
    const hello = readHandshake(Buffer.concat(parts));
    if (hello.kind !== 'more') return hello;
  }
  return bytes.length >= MOST_HELLO_BYTES ? FOREIGN : MORE;
};

const readHandshake = (message: Buffer): Hello => {
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return FOREIGN;
  if (message.length < 4) return MORE;
  const length = message.readUIntBE(1, 3);
  if (length > MOST_HELLO_BYTES) return FOREIGN;
  if (message.length < 4 + length) return MORE;
  try {
    return { kind: 'hello', serverName: serverName(message.subarray(4, 4 + length)) };
  } catch {
    // A length inside pointed outside.
    return FOREIGN;
  }
};

/** Throws a RangeError when a length inside points outside. */
const serverName = (hello: Buffer): string | null => {
  let at = 2 + 32;
  at += 1 + hello.readUInt8(at);
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello.readUInt8(at);
  if (at === hello.length) return null;
  const end = at + 2 + hello.readUInt16BE(at);
  at += 2;
  while (at < end) {
    const type = hello.readUInt16BE(at);
    const length = hello.readUInt16BE(at + 2);
    if (type === SERVER_NAME) return hostName(hello.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return null;
};

const hostName = (extension: Buffer): string | null => {
  const type = extension.readUInt8(2);
  const length = extension.readUInt16BE(3);
  if (type !== HOST_NAME || 5 + length > extension.length) return null;
  return extension.toString('latin1', 5, 5 + length).toLowerCase();
};
