import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readHello } from '../../../src/sandbox/front/sni.ts';

/** The first flight of a real client. */
const clientHello = async (
  servername: string | undefined,
  maxVersion: 'TLSv1.2' | 'TLSv1.3',
): Promise<Buffer> => {
  const [near, far] = duplexPair();
  const client = connect({ socket: near, ...(servername === undefined ? {} : { servername }), maxVersion });
  client.on('error', () => undefined);
  const [bytes] = await once(far, 'data');
  client.destroy();
  return bytes as Buffer;
};

/** The same handshake message cut into records of at most `size` bytes. */
const recut = (hello: Buffer, size: number): Buffer => {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size);
    const head = Buffer.from([22, 3, 1, 0, 0]);
    head.writeUInt16BE(piece.length, 3);
    records.push(head, piece);
  }
  return Buffer.concat(records);
};

describe('a ClientHello', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s gives its server name in lower case', async (version) => {
    const hello = await clientHello('Some.Edge.Test', version);
    expect(readHello(hello)).toEqual({ kind: 'hello', serverName: 'some.edge.test' });
  });

  test('without a server name says so', async () => {
    expect(readHello(await clientHello(undefined, 'TLSv1.3'))).toEqual({ kind: 'hello', serverName: null });
  });

  test('asks for more at every cut before its end', async () => {
    const hello = await clientHello('a.edge.test', 'TLSv1.3');
    for (let length = 0; length < hello.length; length += 1) {
      expect(readHello(hello.subarray(0, length)).kind).toBe('more');
    }
    expect(readHello(Buffer.concat([hello, Buffer.from('early data')])).kind).toBe('hello');
  });

  test('may be spread over many records', async () => {
    const hello = await clientHello('a.edge.test', 'TLSv1.3');
    for (const size of [1, 2, 3, 5, 100]) {
      expect(readHello(recut(hello, size))).toEqual({ kind: 'hello', serverName: 'a.edge.test' });
    }
  });

  test('with wrong lengths inside, and any other bytes, never throw', async () => {
    const hello = await clientHello('a.edge.test', 'TLSv1.3');
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, value) => {
        const bent = Buffer.from(hello);
        bent[at] = value;
        expect(['more', 'foreign', 'hello']).toContain(readHello(bent).kind);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        readHello(Buffer.from(bytes));
        readHello(Buffer.concat([Buffer.from([22, 3, 1, 1, 0, 1, 0, 0, 200]), bytes]));
      }),
    );
  });

  test('is not what HTTP or SSH begins with', () => {
    expect(readHello(Buffer.from('GET / HTTP/1.1\r\n')).kind).toBe('foreign');
    expect(readHello(Buffer.from('SSH-2.0-x\r\n')).kind).toBe('foreign');
  });

  test('that never ends is given up', () => {
    const endless = Buffer.concat([
      Buffer.from([22, 3, 1, 0xff, 0xff, 1, 0, 0xff, 0xff]),
      Buffer.alloc(70_000),
    ]);
    expect(readHello(endless).kind).not.toBe('more');
  });
});
