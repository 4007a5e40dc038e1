import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OPS } from '../../../src/protocol/command-schema.ts';
import { EVENT_TYPES } from '../../../src/protocol/event-schema.ts';
import {
  type Audience,
  DEVICE_LEAVES,
  deviceFilters,
  EVENT_CLASSES,
  eventClassOf,
  formatAudience,
  formatTopic,
  isReplyTopicAllowed,
  parseAudience,
  parseTopic,
  type Topic,
} from '../../../src/protocol/topics.ts';

const device = fc.stringMatching(/^[a-z0-9][a-z0-9-]{2,30}$/);
const group = fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/);
const segment = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
const id = fc.ulid();
const audience: fc.Arbitrary<Audience> = fc.oneof(
  fc.record({ kind: fc.constant('device' as const), device }),
  fc.record({ kind: fc.constant('group' as const), group }),
);
const topic: fc.Arbitrary<Topic> = fc.oneof(
  fc.record({ kind: fc.constantFrom(...DEVICE_LEAVES), tenant: segment, device }),
  fc.record({
    kind: fc.constant('command' as const),
    tenant: segment,
    audience,
    op: fc.constantFrom(...OPS),
  }),
  fc.record({ kind: fc.constant('result' as const), tenant: segment, device, id }),
  fc.record({
    kind: fc.constant('event' as const),
    tenant: segment,
    device,
    class: fc.constantFrom(...EVENT_CLASSES),
  }),
  fc.record({
    kind: fc.constant('reply' as const),
    tenant: segment,
    client: segment,
    rest: fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
  }),
);

describe('topics', () => {
  it('come back from their text as they went in', () => {
    fc.assert(
      fc.property(topic, (value) => {
        const text = formatTopic(value);
        expect(parseTopic(text)).toEqual(value);
        expect(text.split('/').length).toBeLessThanOrEqual(value.kind === 'reply' ? 8 : 6);
      }),
    );
  });

  it('are refused with one level more, one less, or a wildcard in a level', () => {
    fc.assert(
      fc.property(
        topic.filter((t) => t.kind !== 'reply'),
        fc.nat(5),
        (value, at) => {
          const parts = formatTopic(value).split('/');
          expect(parseTopic([...parts, 'x'].join('/'))).toBeUndefined();
          expect(parseTopic(`/${parts.join('/')}`)).toBeUndefined();
          expect(parseTopic(parts.slice(0, -1).join('/'))).toBeUndefined();
          const index = at % parts.length;
          expect(parseTopic(parts.with(index, '+').join('/'))).toBeUndefined();
          expect(parseTopic(parts.with(index, '').join('/'))).toBeUndefined();
        },
      ),
    );
  });

  it.each([
    'lk2/acme/d/press-7/desired',
    'lk1/acme/d/Press-7/desired',
    'lk1/acme/d/p7/desired',
    'lk1/acme/d/press-7/cmd/Start',
    'lk1/acme/d/press-7/cmd/averyveryverylongop',
    'lk1/acme/d/press-7/res/01arz3ndektsv4rrffq69g5fav',
    'lk1/acme/d/press-7/event/other',
    'lk1/acme/g/lab/desired',
    'lk1/a b/d/press-7/desired',
    `lk1/acme/c/cli/r/${'x/'.repeat(200)}x`,
    '#',
  ])('does not take %.50s', (text) => {
    expect(parseTopic(text)).toBeUndefined();
  });

  it('names an unknown operation, so that it can be answered', () => {
    expect(parseTopic('lk1/acme/d/press-7/cmd/reboot')).toMatchObject({ kind: 'command', op: 'reboot' });
  });

  it('reads an audience back', () => {
    fc.assert(
      fc.property(audience, (value) => {
        expect(parseAudience(formatAudience(value))).toEqual(value);
      }),
    );
    expect(parseAudience('x:press-7')).toBeUndefined();
    expect(parseAudience('d:P')).toBeUndefined();
  });

  it('gives every event type a class that is in the tree', () => {
    for (const type of EVENT_TYPES) expect(EVENT_CLASSES).toContain(eventClassOf(type));
    expect(eventClassOf('store.degraded')).toBe('agent');
    expect(eventClassOf('conn.summary')).toBe('conn');
  });

  it('lists the filters of a device without a wildcard for what is retained', () => {
    expect(deviceFilters('acme', 'press-7', ['lab'])).toEqual([
      'lk1/acme/d/press-7/desired',
      'lk1/acme/d/press-7/cmd/+',
      'lk1/acme/d/press-7/presence',
      'lk1/acme/g/lab/cmd/+',
    ]);
  });

  it.each([
    ['lk1/acme/c/cli-1/r/inbox', true],
    ['lk1/other/c/cli-1/r/inbox', false],
    ['lk1/acme/d/press-8/cmd/stop', false],
    ['lk1/acme/c/cli-1/r', false],
    ['lk1/acme/c/../d/press-8/desired', false],
    ['$SYS/broker', false],
  ])('answers to %s: %s', (responseTopic, isAllowed) => {
    expect(isReplyTopicAllowed('acme', responseTopic)).toBe(isAllowed);
  });
});
