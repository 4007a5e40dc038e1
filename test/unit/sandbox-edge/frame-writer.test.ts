import { PassThrough } from 'node:stream';
import { setImmediate as immediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FLAG_FIN, FLAG_SYN, FRAME_TYPE, type Frame, FrameDecoder } from '../../../src/sandbox/edge/frame.ts';
import { FrameWriter, WriterAssertion } from '../../../src/sandbox/edge/frame-writer.ts';

const NONE = Buffer.alloc(0);
const WORD = Buffer.alloc(4);

const setUp = () => {
  const out = new PassThrough({ highWaterMark: 1_000_000 });
  const writer = new FrameWriter(out);
  const written = async (): Promise<readonly Frame[]> => {
    await immediate();
    const frames: Frame[] = [];
    const decoder = new FrameDecoder((frame) => frames.push(frame));
    for (let chunk = out.read(); chunk !== null; chunk = out.read()) decoder.push(chunk as Buffer);
    return frames;
  };
  return { out, writer, written };
};

test('4: opens even ids from 2 on, each once', async () => {
  const { writer, written } = setUp();
  expect([writer.open(WORD), writer.open(WORD), writer.open(WORD)]).toEqual([2, 4, 6]);
  expect((await written()).every(({ syn }) => syn)).toBe(true);
  expect(() => writer.frame(FRAME_TYPE.data, FLAG_SYN, 4, WORD)).toThrow(WriterAssertion);
});

test.each([
  ['a frame type above 3', 4, 0, 2, NONE],
  ['data on stream 0', FRAME_TYPE.data, 0, 0, NONE],
  ['credit on stream 0', FRAME_TYPE.windowIncrement, 0, 0, WORD],
  ['a reset', FRAME_TYPE.rst, 0, 2, WORD],
  ['an odd id of its own', FRAME_TYPE.data, FLAG_SYN, 5, NONE],
  ['data on a stream that nobody opened', FRAME_TYPE.data, FLAG_FIN, 8, NONE],
  ['an answer on a stream the agent did not open', FRAME_TYPE.data, 0, 3, NONE],
  ['credit that is not 4 bytes', FRAME_TYPE.windowIncrement, 0, 2, NONE],
  ['flags the agent does not know', FRAME_TYPE.data, 4, 2, NONE],
  ['a GOAWAY on a stream', FRAME_TYPE.goAway, 0, 2, Buffer.alloc(8)],
  ['a GOAWAY that is too short', FRAME_TYPE.goAway, 0, 0, WORD],
])('4: never writes %s', async (_what, type, flags, streamId, payload) => {
  const { writer, written } = setUp();
  writer.open(WORD);
  await written();
  expect(() => writer.frame(type as 0 | 1 | 2 | 3, flags, streamId, payload)).toThrow(WriterAssertion);
  expect(await written()).toEqual([]);
});

test('4: refuses to note a stream of the agent with an even id', () => {
  const { writer } = setUp();
  expect(() => writer.accepted(4)).toThrow(WriterAssertion);
});

test('answers on streams that the agent opened, and sends credit without effect on an id nobody opens', async () => {
  const { writer, written } = setUp();
  writer.accepted(3);
  writer.data(3, Buffer.from('beat'));
  writer.noOp();
  const frames = await written();
  expect(frames.map(({ type, streamId }) => [type, streamId])).toEqual([
    [FRAME_TYPE.data, 3],
    [FRAME_TYPE.windowIncrement, 0x7fff_fffe],
  ]);
});

test('sends the frames of one turn together', async () => {
  const { out, writer } = setUp();
  const id = writer.open(WORD);
  writer.data(id, Buffer.from('one'));
  writer.fin(id);
  expect(out.readableLength).toBe(0);
  await immediate();
  expect(out.readableLength).toBe(8 + 4 + 8 + 3 + 8);
});
