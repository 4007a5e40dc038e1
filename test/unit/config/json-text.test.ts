import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJsonText } from '../../../src/config/json-text.ts';

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

test('gives what JSON.parse gives for every value that can be written', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 2, '\t'), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(parseJsonText(text)).toEqual({ ok: true, value: JSON.parse(text) });
    }),
  );
});

test('refuses exactly the damaged texts that JSON.parse refuses', () => {
  const damaged = fc
    .tuple(
      fc.jsonValue({ maxDepth: 3 }),
      fc.nat(),
      fc.nat(3),
      fc.constantFrom('', ',', '"', '{', ']', '\\', '0', '\n', 'e'),
    )
    .map(([value, at, cut, put]) => {
      const text = JSON.stringify(value);
      const place = at % (text.length + 1);
      return text.slice(0, place) + put + text.slice(place + cut);
    });
  fc.assert(
    fc.property(damaged, (text) => {
      const read = parseJsonText(text);
      if (read.ok) expect(parses(text)).toBe(true);
      else expect(!parses(text) || read.problem.includes('stands twice')).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('points at the place, counted from 1, whatever the line ends', () => {
  expect(parseJsonText('{\r\n "a": 1,\r\n "b": nope\r\n}')).toMatchObject({ ok: false, line: 3, column: 7 });
  expect(parseJsonText('{\n "a": 1,\n "b": nope\n}')).toMatchObject({ ok: false, line: 3, column: 7 });
});

test('never repeats a value of a broken file', () => {
  const read = parseJsonText('{"password": "hunter2" "x": 1}');
  expect(JSON.stringify(read)).not.toContain('hunter2');
});

test('takes a member named __proto__ as data', () => {
  const read = parseJsonText('{"__proto__": {"admin": true}}');
  expect(read.ok && Object.hasOwn(read.value as object, '__proto__')).toBe(true);
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
});
