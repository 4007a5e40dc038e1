import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonCollector, JsonTextError } from '../../../src/sandbox/edge/json-collector.ts';

test('7: an object is found whole, wherever its text is split, and bytes behind it do not count', () => {
  const object = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.array(fc.string())));
  fc.assert(
    fc.property(object, fc.nat(), fc.nat(), (value, a, b) => {
      const bytes = Buffer.from(` ${JSON.stringify(value)}`);
      const [first, second] = [a % (bytes.length + 1), b % (bytes.length + 1)].sort((x, y) => x - y);
      const collector = new JsonCollector();
      const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      const seen = pieces.map((piece) => (piece.length === 0 ? undefined : collector.push(piece)));
      expect(seen.filter((each) => each !== undefined)).toEqual([JSON.parse(JSON.stringify(value))]);
    }),
  );
});

test('brackets and escaped quotes within strings do not end the object', () => {
  const value = { text: '}"{[\\', more: ['}'] };
  const collector = new JsonCollector();
  const bytes = Buffer.from(JSON.stringify(value));
  expect(collector.push(bytes.subarray(0, -1))).toBeUndefined();
  expect(collector.push(bytes.subarray(-1))).toEqual(value);
});

test('refuses what does not begin as an object, what is too long, and what is not JSON', () => {
  expect(() => new JsonCollector().push(Buffer.from('GET / HTTP/1.1'))).toThrow(JsonTextError);
  expect(() => new JsonCollector().push(Buffer.alloc(1_048_577, 0x7b))).toThrow(JsonTextError);
  expect(() => new JsonCollector().push(Buffer.from('{nonsense}'))).toThrow(SyntaxError);
});
