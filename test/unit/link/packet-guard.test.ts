import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPacketGuard, MAX_PAYLOAD_BYTES } from '../../../src/link/packet-guard.ts';

const length = (n: number): number[] => (n < 128 ? [n] : [(n % 128) | 0x80, ...length(Math.floor(n / 128))]);

const packet = (type: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type, ...length(body.length)]), body]);

const publish = (payload: Buffer): Buffer =>
  packet(0x32, Buffer.concat([Buffer.from([0, 1, 0x74, 0, 7]), payload]));

const pushAll = (bytes: Buffer, size: number): Buffer => {
  const guard = createPacketGuard();
  const out: Buffer[] = [];
  for (let i = 0; i < bytes.length; i += size) out.push(...guard.push(bytes.subarray(i, i + size)));
  return Buffer.concat(out);
};

test('passes packets of a normal size unchanged, however they are cut into chunks', () => {
  void fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 50 }),
      (bodies, size) => {
        const bytes = Buffer.concat(bodies.map((b, i) => packet(0x10 * ((i % 14) + 1), Buffer.from(b))));
        expect(pushAll(bytes, size).equals(bytes)).toBe(true);
      },
    ),
  );
});

test('passes a payload at the limit whole', () => {
  const bytes = publish(Buffer.alloc(MAX_PAYLOAD_BYTES, 1));
  expect(pushAll(bytes, 4096).equals(bytes)).toBe(true);
});

test('cuts an oversized packet to a bounded one that is still longer than the limit, and goes on behind it', () => {
  const after = publish(Buffer.from('after'));
  const out = pushAll(Buffer.concat([publish(Buffer.alloc(5_000_000, 1)), after]), 65_536);
  expect(out.length).toBeLessThan(140_000);
  expect(out.length).toBeGreaterThan(MAX_PAYLOAD_BYTES + 65_535);
  expect(out.subarray(-after.length).equals(after)).toBe(true);
  expect(out.subarray(4, 9)).toEqual(Buffer.from([0, 1, 0x74, 0, 7]));
});

test('throws on a length of more than four bytes', () => {
  expect(() => createPacketGuard().push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]))).toThrow('length');
});
