import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeHeader,
  FLAG_FIN,
  FLAG_SYN,
  FRAME_TYPE,
  type Frame,
  FrameDecoder,
  INITIAL_WINDOW_BYTES,
  readIncrement,
  readWord,
} from '../../../src/sandbox/edge/frame.ts';
import { encodeProxyHead } from '../../../src/sandbox/edge/typed-stream.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const frame = (type: 0 | 1 | 2 | 3, flags: number, streamId: number, payload: Buffer): Buffer =>
  Buffer.concat([encodeHeader(type, flags, streamId, payload.length), payload]);

const decode = (chunks: readonly Buffer[]): readonly Frame[] => {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder((seen) => frames.push({ ...seen, payload: Buffer.from(seen.payload) }));
  for (const chunk of chunks) decoder.push(chunk);
  return frames;
};

const PREAMBLE = {
  Id: 'ep_c1631adabb5ff4586c5f6ad4',
  ClientAddr: '127.0.0.1:57866',
  Proto: 'https',
  EdgeType: '0',
  PassthroughTLS: false,
};

/** The SYN frame of a captured proxy stream, to the byte. */
const PROXY_SYN = hex(`
  00 00 85 12 00 00 00 02 00 00 00 03 79 00 00 00 00 00 00 00
  7b 22 49 64 22 3a 22 65 70 5f 63 31 36 33 31 61 64 61 62 62
  35 66 66 34 35 38 36 63 35 66 36 61 64 34 22 2c 22 43 6c 69
  65 6e 74 41 64 64 72 22 3a 22 31 32 37 2e 30 2e 30 2e 31 3a
  35 37 38 36 36 22 2c 22 50 72 6f 74 6f 22 3a 22 68 74 74 70
  73 22 2c 22 45 64 67 65 54 79 70 65 22 3a 22 30 22 2c 22 50
  61 73 73 74 68 72 6f 75 67 68 54 4c 53 22 3a 66 61 6c 73 65
  7d`);

/** What an agent wrote in a captured session: heartbeat, Auth, credit, Bind, an answer, the end of a stream. */
const TRACE = Buffer.concat([
  hex('00000412 00000003 ffffffff'),
  hex('00000412 00000005 00000000'),
  frame(1, 0, 5, Buffer.from(JSON.stringify({ Version: ['3', '2'], Extra: { AuthToken: 'tokA' } }))),
  hex('00000410 00000003 252f115b'),
  hex('00000420 00000003 00000004'),
  hex('00000420 00000005 00000020'),
  hex('00000011 00000005'),
  hex('00000412 00000007 00000001'),
  frame(1, 0, 7, Buffer.from('{"Id":"","Proto":"https"}')),
  hex('00000420 00000002 00000092'),
  frame(1, 0, 2, Buffer.from('HTTP/1.1 200 OK\r\n\r\nhello /x')),
  hex('00000410 00000003 77855eb6'),
  hex('00000411 00000009 7b7d7b7d'),
  hex('00000400 00000004 00000004'),
  hex('00000b30 00000000 0000000000000000 627965'),
]);

test('2: the bytes of a session decode the same one by one and all at once', () => {
  const whole = decode([TRACE]);
  const single = decode(Array.from(TRACE, (byte) => Buffer.of(byte)));
  expect(single).toEqual(whole);
  expect(whole.map(({ type, streamId }) => [type, streamId])).toEqual([
    [1, 3],
    [1, 5],
    [1, 5],
    [1, 3],
    [2, 3],
    [2, 5],
    [1, 5],
    [1, 7],
    [1, 7],
    [2, 2],
    [1, 2],
    [1, 3],
    [1, 9],
    [0, 4],
    [3, 0],
  ]);
  expect(whole[0]).toMatchObject({ syn: true, fin: false, payload: hex('ffffffff') });
  expect(whole[6]).toMatchObject({ syn: false, fin: true });
  expect(readIncrement(whole[9]?.payload ?? Buffer.alloc(4))).toBe(0x92);
  expect(readWord(whole[13]?.payload ?? Buffer.alloc(4))).toBe(4);
});

test('3: a frame split at any offset decodes the same', () => {
  const whole = decode([PROXY_SYN]);
  for (let at = 0; at <= PROXY_SYN.length; at += 1) {
    expect(decode([PROXY_SYN.subarray(0, at), PROXY_SYN.subarray(at)])).toEqual(whole);
  }
});

test('3: any frames in any chunks decode to the same frames', () => {
  const anyFrame = fc.record({
    flags: fc.constantFrom(0, FLAG_FIN, FLAG_SYN),
    streamId: fc.integer({ min: 1, max: 0x7fff_ffff }),
    payload: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 12 }),
      fc.array(fc.nat(400), { maxLength: 40 }),
      (frames, cuts) => {
        const bytes = Buffer.concat(
          frames.map(({ flags, streamId, payload }) => frame(1, flags, streamId, Buffer.from(payload))),
        );
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          chunks.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        chunks.push(bytes.subarray(at));
        const seen = decode(chunks);
        expect(seen.map(({ streamId, fin, syn }) => [streamId, fin, syn])).toEqual(
          frames.map(({ streamId, flags }) => [streamId, flags === FLAG_FIN, flags === FLAG_SYN]),
        );
        expect(seen.map(({ payload }) => payload)).toEqual(frames.map(({ payload }) => Buffer.from(payload)));
      },
    ),
  );
});

test('5: the first frame of a proxy stream holds type, length and whole preamble, to the byte', () => {
  const head = encodeProxyHead(PREAMBLE);
  expect(frame(FRAME_TYPE.data, FLAG_SYN, 2, head)).toEqual(PROXY_SYN);
});

test('the top bit of a stream id and of an increment does not count', () => {
  const [data] = decode([hex('00000010 80000003')]);
  expect(data?.streamId).toBe(3);
  const [credit] = decode([hex('00000420 00000003 80000007')]);
  expect(readIncrement(credit?.payload ?? Buffer.alloc(4))).toBe(7);
});

test('a GOAWAY that announces too few bytes ends the decoding without an error', () => {
  const goAway = hex('00000d30 00000000 0000000500000001 70726f746f636f6c206572726f72 2121');
  const frames = decode([goAway, hex('ffffffff ffffffff ffffffff')]);
  expect(frames.map(({ type }) => type)).toEqual([FRAME_TYPE.goAway]);
});

test.each([
  ['a frame type that does not exist', '00000440 00000003 00000000'],
  ['data on stream 0', '00000010 00000000'],
  ['credit of another length than 4', '00000520 00000003 0000000000'],
  ['a reset of another length than 4', '00000200 00000003 0000'],
  ['a payload longer than the window', '04000110 00000003'],
])('refuses %s', (_what, bytes) => {
  expect(() => decode([hex(bytes)])).toThrow(/invalid|stream id|4 bytes|window/);
});

test('a payload as long as the window is accepted', () => {
  const payload = Buffer.alloc(INITIAL_WINDOW_BYTES, 7);
  const [seen] = decode([frame(FRAME_TYPE.data, 0, 3, payload)]);
  expect(seen?.payload.equals(payload)).toBe(true);
});

test('a payload within one chunk is not copied', () => {
  const chunk = frame(FRAME_TYPE.data, 0, 3, Buffer.from('body'));
  let seen: Buffer | null = null;
  new FrameDecoder(({ payload }) => {
    seen = payload;
  }).push(chunk);
  chunk.fill('X', 8);
  expect(String(seen)).toBe('XXXX');
});
