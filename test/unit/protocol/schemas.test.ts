import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Checked,
  checkCommand,
  checkDesired,
  checkEvent,
  checkHealth,
  checkHello,
  checkPresence,
  checkReported,
  checkResult,
} from '../../../src/protocol/validate.ts';
import { ID, SEALED, samples } from './samples.ts';

const published = JSON.parse(
  readFileSync(new URL('../../../docs/lk1.schema.json', import.meta.url), 'utf8'),
) as object;
const ajv = new Ajv2020({ strict: false }).addSchema(published);

const checks = {
  command: checkCommand,
  desired: checkDesired,
  result: checkResult,
  reported: checkReported,
  health: checkHealth,
  event: checkEvent,
  presence: checkPresence,
  hello: checkHello,
};
type Kind = keyof typeof checks;
const check = (kind: Kind, value: unknown): Checked<unknown> => checks[kind](value);
const reference = new Map(
  (Object.keys(checks) as Kind[]).map((kind) => [
    kind,
    ajv.compile({ $ref: `urn:lk1:messages#/$defs/${kind}` }),
  ]),
);
const messageOf = (kind: Kind, value: unknown): string => {
  const checked = check(kind, value);
  return checked.ok ? '' : checked.message;
};

/** A value that is near some limit of some schema, or of a wrong type. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    '*',
    'web',
    'Web',
    'd:press-7',
    'g:lab',
    'd:p',
    'start',
    'rekey',
    'cancel',
    'keys',
    'reboot',
    -1,
    0,
    1,
    2,
    4,
    5,
    59,
    60,
    1.5,
    86_400,
    86_401,
    4_102_444_800,
    4_102_444_801,
    2 ** 53,
    1e300,
    [],
    {},
    ID,
    ID.toLowerCase(),
    SEALED,
    'a.b.c',
    'file:///etc/passwd',
    'http://user:pass@host/',
    'tcp://h:1',
    'x'.repeat(41),
    'x'.repeat(201),
    'x'.repeat(254),
    'x'.repeat(2049),
    'abcdef12',
    'zz',
    'CODE_X',
    'ab',
  ),
  fc.array(fc.constant('web'), { minLength: 15, maxLength: 34 }),
  fc.dictionary(
    fc.constantFrom('ep', 'id', 'set', 'gen', 'sealed', 'lease_s', 'x', 'a\nb'),
    fc.constantFrom<unknown>(1, 'web', ID),
    {
      maxKeys: 5,
    },
  ),
  fc.constant(Object.fromEntries(Array.from({ length: 13 }, (_, n) => [`k${n}`, n]))),
);

/** Every path in a message, so that a mutation can strike anywhere. */
const pathsOf = (value: unknown, path: readonly string[] = []): (readonly string[])[] =>
  typeof value === 'object' && value !== null
    ? [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))]
    : [path];

type Mutation = { readonly at: number; readonly how: 'set' | 'drop' | 'add'; readonly value: unknown };
const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('set', 'drop', 'add'),
  value: odd,
});

const mutate = (message: unknown, { at, how, value }: Mutation): unknown => {
  const copy = structuredClone(message);
  const paths = pathsOf(copy);
  const path = paths[at % paths.length] ?? [];
  let parent = copy as Record<string, unknown>;
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string, unknown>;
  const last = path.at(-1);
  if (how === 'add') {
    const target = (last === undefined ? copy : parent[last]) as Record<string, unknown>;
    if (typeof target === 'object' && target !== null && !Array.isArray(target)) target['extra'] = value;
    return copy;
  }
  if (last === undefined) return value;
  if (how === 'set') parent[last] = value;
  else delete parent[last];
  return copy;
};

describe('message schemas', () => {
  it.each(samples.map(([kind, message], index) => [index, kind, message] as const))(
    'accept sample %i, %s',
    (_index, kind, message) => {
      expect(check(kind, message)).toEqual({ ok: true, value: message });
      expect(reference.get(kind)?.(message)).toBe(true);
    },
  );

  it('accept and refuse exactly what the published JSON Schema does', () => {
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        ([kind, sample], mutations) => {
          const message = mutations.reduce<unknown>(mutate, sample);
          const isGood = reference.get(kind)?.(message);
          expect(check(kind, message).ok, JSON.stringify(message)).toBe(isGood);
          if (isGood) seen.accepted++;
          else seen.refused++;
        },
      ),
      { numRuns: 6000 },
    );
    expect(seen.accepted).toBeGreaterThan(200);
    expect(seen.refused).toBeGreaterThan(200);
  });

  const [, ping] = samples[0] ?? [];
  const hostile: readonly (readonly [string, Kind, unknown])[] = [
    ['an unknown operation', 'command', { ...ping, op: 'reboot' }],
    [
      'a rekey for a group',
      'command',
      { ...ping, op: 'rekey', to: 'g:lab', args: { gen: 2, sealed: SEALED } },
    ],
    [
      'a token in clear',
      'command',
      { ...ping, op: 'rekey', args: { gen: 2, authtoken: 'secret', sealed: SEALED } },
    ],
    ['a start without endpoint', 'command', { ...ping, op: 'start' }],
    [
      'an upstream with user info',
      'desired',
      {
        v: 1,
        dev: 'press-7',
        rev: 1,
        iat: 1,
        endpoints: [{ name: 'a', on: true, proto: 'http', upstream: 'http://user:pass@h/' }],
      },
    ],
    [
      'an upstream that is a file',
      'desired',
      {
        v: 1,
        dev: 'press-7',
        rev: 1,
        iat: 1,
        endpoints: [{ name: 'a', on: true, proto: 'http', upstream: 'file:///etc/passwd' }],
      },
    ],
  ];
  it.each(hostile)('refuse %s', (_what, kind, message) => {
    expect(check(kind, message).ok).toBe(false);
    expect(reference.get(kind)?.(message)).toBe(false);
  });

  it('say what is wrong by path and expectation', () => {
    const start = { ...ping, op: 'start' };
    expect(messageOf('command', { ...start, args: { ep: 'web', lease_s: 5 } })).toBe(
      'args.lease_s must be >= 60',
    );
    expect(messageOf('command', { ...start, args: { ep: 'Not A Name' } })).toBe('args.ep has the wrong form');
    expect(messageOf('command', start)).toBe('message must have args');
    expect(messageOf('command', { ...ping, v: 2 })).toBe('v must be 1');
    expect(
      messageOf('desired', { v: 1, dev: 'press-7', rev: 1, iat: 1, endpoints: [{ on: 'yes' }] }),
    ).toMatch(/^endpoints\[0\]/);
  });

  it('never repeat what was received', () => {
    const canary = 'S3cr3t-canary value';
    fc.assert(
      fc.property(fc.constantFrom(...samples), fc.nat(), fc.boolean(), ([kind, sample], at, asKey) => {
        const value = asKey ? { [canary]: canary } : canary;
        const message = mutate(sample, { at, how: asKey ? 'add' : 'set', value: canary });
        const named = asKey ? mutate(message, { at, how: 'set', value }) : message;
        expect(messageOf(kind, named)).not.toContain('canary');
      }),
    );
  });
});
