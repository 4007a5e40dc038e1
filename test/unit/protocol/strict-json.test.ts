import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_JSON_DEPTH, parseStrictJson, readStrictJson } from '../../../src/protocol/strict-json.ts';

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

const hasProto = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (Object.hasOwn(value, '__proto__') || Object.values(value).some(hasProto));

const problemOf = (text: string): string | undefined => {
  const reading = parseStrictJson(text);
  return reading.ok ? undefined : reading.problem;
};

describe('strict JSON', () => {
  it('reads what JSON.parse reads, to the same value', () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 6 }).filter((text) => !hasProto(JSON.parse(text))),
        fc.constantFrom(undefined, 1, '\t'),
        (text, indent) => {
          const value: unknown = JSON.parse(text);
          const printed = JSON.stringify(value, null, indent);
          expect(depthOf(value)).toBeLessThanOrEqual(MAX_JSON_DEPTH);
          expect(readStrictJson(Buffer.from(printed))).toEqual({ ok: true, value });
        },
      ),
    );
  });

  it('refuses whatever JSON.parse refuses', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ae1 .-') }), (text) => {
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        if (!isJson) expect(problemOf(text)).toBe('syntax');
      }),
    );
  });

  it('finds a repeated key wherever it stands and however it is escaped', () => {
    const escaped = (key: string): string =>
      [...key].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z]{1,8}$/),
        fc.json({ maxDepth: 1 }),
        fc.boolean(),
        (key, inner, hide) => {
          if (hasProto(JSON.parse(inner))) return;
          const second = hide ? escaped(key) : key;
          const text = `{"x":[{"${key}":${inner},"other":"${key}","${second}":1}]}`;
          expect(problemOf(key === 'other' ? text.replaceAll('"other"', '"o"') : text)).toBe('duplicate-key');
        },
      ),
    );
  });

  it('allows one key in sibling objects, and a key that only appears as a value', () => {
    expect(problemOf('[{"a":1},{"a":2},{"b":"a","a":"b"}]')).toBeUndefined();
    expect(problemOf('{"a":{"a":{"a":"a"}}}')).toBeUndefined();
  });

  it.each([
    ['{"__proto__":{"admin":true}}', 'proto-key'],
    ['{"\\u005f_proto__":1}', 'proto-key'],
    [`${'['.repeat(9)}${']'.repeat(9)}`, 'depth'],
    [`${'['.repeat(30_000)}${']'.repeat(30_000)}`, 'depth'],
    ['{"a":1}{"a":1}', 'syntax'],
    ['{"a":NaN}', 'syntax'],
    ['\ufeff{}', 'syntax'],
    ['', 'syntax'],
  ])('refuses %.40s', (text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  it('takes eight levels', () => {
    expect(parseStrictJson(`${'['.repeat(8)}${']'.repeat(8)}`).ok).toBe(true);
  });

  it('refuses bytes that are not UTF-8 instead of replacing them', () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from('"}')]);
    expect(readStrictJson(bytes)).toEqual({ ok: false, problem: 'utf-8' });
    expect(JSON.parse(bytes.toString())).toBeTypeOf('object');
  });

  it('refuses more bytes than it is given leave to read', () => {
    const text = `{"a":"${'é'.repeat(50)}"}`;
    const size = Buffer.byteLength(text);
    expect(readStrictJson(Buffer.from(text), size).ok).toBe(true);
    expect(readStrictJson(Buffer.from(text), size - 1)).toEqual({ ok: false, problem: 'too-big' });
  });
});
