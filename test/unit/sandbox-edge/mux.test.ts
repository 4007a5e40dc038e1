import { Duplex } from 'node:stream';
import { setImmediate as immediate } from 'node:timers/promises';
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
} from '../../../src/sandbox/edge/frame.ts';
import { Mux } from '../../../src/sandbox/edge/mux.ts';
import type { MuxStream } from '../../../src/sandbox/edge/stream.ts';

const HEAD = Buffer.from('head');

/** A mux whose connection ends in this test: what it writes is decoded, what the agent would send is pushed in. */
const setUp = (options: { noOpAck?: boolean; isStuck?: boolean } = {}) => {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder((frame) => frames.push({ ...frame, payload: Buffer.from(frame.payload) }));
  const held: (() => void)[] = [];
  let isStuck = options.isStuck ?? false;
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      decoder.push(chunk);
      if (isStuck) held.push(done);
      else done();
    },
  });
  const accepted: MuxStream[] = [];
  const ends: string[] = [];
  const mux = new Mux(socket, {
    noOpAck: () => options.noOpAck ?? false,
    onStream: (stream) => accepted.push(stream),
    onStreamEnd: () => undefined,
    onEnd: (end, detail) => ends.push(`${end}: ${detail}`),
  });
  const send = (
    type: 0 | 1 | 2 | 3,
    flags: number,
    streamId: number,
    payload: Buffer = Buffer.alloc(0),
  ): void => {
    socket.push(Buffer.concat([encodeHeader(type, flags, streamId, payload.length), payload]));
  };
  const grant = (streamId: number, bytes: number): void => {
    const increment = Buffer.alloc(4);
    increment.writeUInt32BE(bytes);
    send(FRAME_TYPE.windowIncrement, 0, streamId, increment);
  };
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 4; turn += 1) await immediate();
  };
  const of = (streamId: number): readonly Frame[] => frames.filter((frame) => frame.streamId === streamId);
  const dataBytes = (streamId: number): number =>
    of(streamId)
      .filter(({ type }) => type === FRAME_TYPE.data)
      .reduce((sum, { payload }) => sum + payload.length, 0);
  const credit = (streamId: number): number =>
    of(streamId)
      .filter(({ type }) => type === FRAME_TYPE.windowIncrement)
      .reduce((sum, { payload }) => sum + readIncrement(payload), 0);
  const unstick = (): void => {
    isStuck = false;
    for (const done of held.splice(0)) done();
  };
  return { mux, frames, accepted, ends, send, grant, settle, of, dataBytes, credit, unstick };
};

test('sends no more than the credit allows, in payloads of at most 32 KiB, and goes on when it gets more', async () => {
  const { mux, settle, dataBytes, grant, of } = setUp();
  const stream = mux.open(HEAD);
  stream.write(Buffer.alloc(400_000));
  stream.end();
  await settle();
  expect(dataBytes(stream.id)).toBe(INITIAL_WINDOW_BYTES);
  expect(of(stream.id).every(({ payload }) => payload.length <= 32_768)).toBe(true);
  grant(stream.id, 100_000);
  await settle();
  expect(dataBytes(stream.id)).toBe(INITIAL_WINDOW_BYTES + 100_000);
  grant(stream.id, 100_000);
  await settle();
  expect(dataBytes(stream.id)).toBe(400_000 + HEAD.length);
  expect(of(stream.id).at(-1)).toMatchObject({ fin: true, type: FRAME_TYPE.data });
});

test('27: returns the credit for consumed bytes, less at most one batch, however they are read', async () => {
  const { mux, settle, send, credit } = setUp();
  const flowing = mux.open(HEAD);
  flowing.resume();
  const paused = mux.open(HEAD);
  let sent = 0;
  for (let round = 0; round < 60; round += 1) {
    send(FRAME_TYPE.data, 0, flowing.id, Buffer.alloc(5_000));
    send(FRAME_TYPE.data, 0, paused.id, Buffer.alloc(5_000));
    sent += 5_000;
    await settle();
    paused.read(5_000);
  }
  for (const stream of [flowing, paused]) {
    expect(sent - credit(stream.id)).toBeLessThan(32_768);
    expect(credit(stream.id)).toBeLessThanOrEqual(sent);
  }
});

test('26: withholds credit while the reader stands still, and only for that stream', async () => {
  const { mux, settle, send, credit } = setUp();
  const stuck = mux.open(HEAD);
  const moving = mux.open(HEAD);
  moving.resume();
  for (let round = 0; round < 8; round += 1) {
    send(FRAME_TYPE.data, 0, stuck.id, Buffer.alloc(32_768));
    send(FRAME_TYPE.data, 0, moving.id, Buffer.alloc(32_768));
    await settle();
  }
  expect(credit(stuck.id)).toBe(0);
  expect(credit(moving.id)).toBe(262_144);
  stuck.resume();
  await settle();
  expect(credit(stuck.id)).toBe(262_144);
});

test('aborts with an end, credit for all that is unread, and swallows the rest until the agent ends it', async () => {
  const { mux, settle, send, of, credit, frames } = setUp();
  const stream = mux.open(HEAD);
  send(FRAME_TYPE.data, 0, stream.id, Buffer.alloc(100_000));
  await settle();
  stream.destroy();
  await settle();
  expect(of(stream.id).some(({ fin }) => fin)).toBe(true);
  expect(credit(stream.id)).toBe(100_000);
  send(FRAME_TYPE.data, 0, stream.id, Buffer.alloc(200_000));
  await settle();
  expect(credit(stream.id)).toBe(300_000);
  expect(mux.size).toBe(1);
  send(FRAME_TYPE.data, FLAG_FIN, stream.id);
  await settle();
  expect(mux.size).toBe(0);
  expect(frames.some(({ type }) => type === FRAME_TYPE.rst)).toBe(false);
});

test('sends nothing on a stream behind its end', async () => {
  const { mux, settle, of } = setUp();
  const stream = mux.open(HEAD);
  stream.end('bye');
  await settle();
  stream.destroy();
  await settle();
  const after = of(stream.id).slice(of(stream.id).findIndex(({ fin }) => fin) + 1);
  expect(after).toEqual([]);
});

test('28: keeps each direction open until its own end', async () => {
  const { mux, settle, send, dataBytes } = setUp();
  const stream = mux.open(HEAD);
  const seen: string[] = [];
  stream.on('data', (chunk: Buffer) => seen.push(String(chunk)));
  send(FRAME_TYPE.data, FLAG_FIN, stream.id, Buffer.from('last words'));
  await settle();
  expect(seen).toEqual(['last words']);
  stream.write('still here');
  await settle();
  expect(dataBytes(stream.id)).toBe(HEAD.length + 10);
  expect(mux.size).toBe(1);
  stream.end();
  await settle();
  expect(mux.size).toBe(0);
});

test('a reset by the agent breaks the stream and is not answered', async () => {
  const { mux, settle, send, of } = setUp();
  const stream = mux.open(HEAD);
  await settle();
  const before = of(stream.id).length;
  const failed = new Promise<Error>((resolve) => stream.once('error', resolve));
  send(FRAME_TYPE.rst, 0, stream.id, Buffer.alloc(4));
  expect(await failed).toMatchObject({ code: 'ECONNRESET' });
  await settle();
  expect(of(stream.id).length).toBe(before);
  expect(mux.size).toBe(0);
});

test('swallows and credits late data on a stream that both sides ended', async () => {
  const { mux, settle, send, credit, ends } = setUp();
  const stream = mux.open(HEAD);
  stream.end();
  await settle();
  send(FRAME_TYPE.data, FLAG_FIN, stream.id);
  await settle();
  send(FRAME_TYPE.data, 0, stream.id, Buffer.alloc(77));
  send(FRAME_TYPE.windowIncrement, 0, stream.id, Buffer.alloc(4));
  send(FRAME_TYPE.data, FLAG_FIN, stream.id);
  await settle();
  expect(credit(stream.id)).toBe(77);
  expect(ends).toEqual([]);
});

test.each([
  ['a stream that is opened twice', [FLAG_SYN, FLAG_SYN], 3, 4],
  ['a stream with an even id', [FLAG_SYN], 4, 4],
])('ends the connection at %s', async (_what, flags, streamId, bytes) => {
  const { settle, send, ends } = setUp();
  for (const flag of flags) send(FRAME_TYPE.data, flag, streamId, Buffer.alloc(bytes));
  await settle();
  expect(ends).toHaveLength(1);
  expect(ends[0]).toMatch(/^protocol: /);
});

test('ends the connection when the agent exceeds the window of a stream', async () => {
  const { mux, settle, send, ends } = setUp();
  const stream = mux.open(HEAD);
  send(FRAME_TYPE.data, 0, stream.id, Buffer.alloc(262_144));
  await settle();
  expect(ends).toEqual([]);
  send(FRAME_TYPE.data, 0, stream.id, Buffer.alloc(1));
  await settle();
  expect(ends[0]).toMatch(/^protocol: .*window/);
});

test('a GOAWAY ends all streams', async () => {
  const { mux, settle, send, ends } = setUp();
  const stream = mux.open(HEAD);
  send(FRAME_TYPE.goAway, 0, 0, Buffer.alloc(8));
  await settle();
  expect(stream.destroyed).toBe(true);
  expect(ends[0]).toMatch(/^go-away/);
  expect(() => mux.open(HEAD)).toThrow();
});

test('answers a read that caused no frame with one frame without effect, when told to', async () => {
  const quick = setUp({ noOpAck: true });
  const stream = quick.mux.open(HEAD);
  await quick.settle();
  quick.grant(stream.id, 4);
  await quick.settle();
  expect(quick.of(0x7fff_fffe)).toHaveLength(1);

  const plain = setUp();
  const other = plain.mux.open(HEAD);
  await plain.settle();
  plain.grant(other.id, 4);
  await plain.settle();
  expect(plain.frames).toHaveLength(1);
});

test('streams share a full connection: data waits with its stream, and each gets its turn', async () => {
  const { mux, settle, of, unstick, frames } = setUp({ isStuck: true });
  const big = mux.open(HEAD);
  big.write(Buffer.alloc(250_000));
  const second = mux.open(HEAD);
  second.write(Buffer.alloc(250_000));
  const third = mux.open(HEAD);
  third.write(Buffer.alloc(250_000));
  await settle();
  const before = frames.length;
  unstick();
  await settle();
  const order = frames.slice(before).filter(({ payload }) => payload.length === 32_768);
  const firstOf = (stream: MuxStream): number => order.findIndex(({ streamId }) => streamId === stream.id);
  const lastOf = (stream: MuxStream): number => order.findLastIndex(({ streamId }) => streamId === stream.id);
  expect(firstOf(third)).toBeLessThan(lastOf(second));
  for (const stream of [big, second, third]) {
    expect(of(stream.id).reduce((sum, { payload }) => sum + payload.length, 0)).toBe(250_000 + HEAD.length);
  }
});

test('12: an echo stands behind no more than a fixed amount of data, however much waits', async () => {
  const { mux, send, settle, unstick, frames, accepted } = setUp({ isStuck: true });
  for (let stream = 0; stream < 10; stream += 1) mux.open(HEAD).write(Buffer.alloc(250_000));
  await settle();
  send(FRAME_TYPE.data, FLAG_SYN, 3, Buffer.from('beat'));
  await settle();
  accepted[0]?.write('echo');
  unstick();
  for (let round = 0; round < 10; round += 1) await settle();
  const echo = frames.findIndex(({ streamId }) => streamId === 3);
  const ahead = frames.slice(0, echo).reduce((sum, { payload }) => sum + payload.length, 0);
  expect(frames[echo]?.payload.toString()).toBe('echo');
  expect(ahead).toBeLessThan(320_000);
  expect(frames.reduce((sum, { payload }) => sum + payload.length, 0)).toBeGreaterThan(2_000_000);
});
