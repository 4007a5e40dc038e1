import { expect, test } from 'vitest';
import type { Target } from '../../../src/sandbox/edge/address.ts';
import type { Endpoint } from '../../../src/sandbox/edge/endpoint.ts';
import { namesFor, poolKey, Registry } from '../../../src/sandbox/edge/registry.ts';
import { manualClock } from '../../support/manual-clock.ts';

const KEY = 'https|a.edge.test';
/** The registry looks at nothing else of an endpoint. */
const endpoint = (id: string, pooled = true, key = KEY): Endpoint =>
  ({ id, key, pooled, token: `tok ${id}`, random: false, createdAtMs: 1, url: `https://${key}` }) as Endpoint;

const setUp = () => {
  const clock = manualClock();
  const empty: string[] = [];
  return { clock, empty, registry: new Registry(clock, (key) => empty.push(key)) };
};

test('19: an address is taken unless all, the newcomer included, are pooled', () => {
  const { registry } = setUp();
  expect(registry.isTaken(KEY, '', false)).toBe(false);
  registry.put(endpoint('one'));
  expect(registry.isTaken(KEY, '', true)).toBe(false);
  expect(registry.isTaken(KEY, '', false)).toBe(true);
  expect(registry.isTaken(KEY, 'one', false)).toBe(false);
  const { registry: other } = setUp();
  other.put(endpoint('one', false));
  expect(other.isTaken(KEY, '', true)).toBe(true);
});

test('22: members leave one by one, and the pool ends with the last', () => {
  const { registry, empty } = setUp();
  const [one, two] = [endpoint('one'), endpoint('two')];
  registry.put(one);
  registry.put(two);
  registry.remove(one);
  expect(registry.members(KEY)).toEqual([two]);
  registry.remove(one);
  expect(empty).toEqual([]);
  registry.remove(two);
  expect(empty).toEqual([KEY]);
  expect(registry.recall('one')).toBeUndefined();
});

test('a rebind replaces its predecessor, whose later end changes nothing', () => {
  const { registry, empty } = setUp();
  const [old, fresh] = [endpoint('one'), endpoint('one')];
  registry.put(old);
  expect(registry.put(fresh)).toBe(old);
  registry.lose(old, 0);
  registry.remove(old);
  expect(registry.members(KEY)).toEqual([fresh]);
  expect(empty).toEqual([]);
});

test('a lost endpoint is off line at once, keeps its address for the grace, and is remembered after it', async () => {
  const { registry, clock, empty } = setUp();
  const one = endpoint('one', false);
  registry.put(one);
  registry.lose(one, 3_000);
  expect(registry.members(KEY)).toEqual([]);
  expect(registry.isTaken(KEY, '', false)).toBe(true);
  expect(registry.isTaken(KEY, 'one', false)).toBe(false);
  await clock.advance(3_000);
  expect(registry.isTaken(KEY, '', false)).toBe(false);
  expect(empty).toEqual([KEY]);
  expect(registry.recall('one')).toMatchObject({ token: 'tok one' });
});

test('a rebind within the grace takes its place again and stops the timer', async () => {
  const { registry, clock } = setUp();
  const one = endpoint('one', false);
  registry.put(one);
  registry.lose(one, 3_000);
  const again = endpoint('one', false);
  registry.put(again);
  expect(clock.pending).toBe(0);
  await clock.advance(5_000);
  expect(registry.members(KEY)).toEqual([again]);
});

test('wildcard names are looked up the most specific first', () => {
  expect(namesFor('a.b.edge.test')).toEqual(['a.b.edge.test', '*.b.edge.test', '*.edge.test', '*.test']);
});

test('internal addresses belong to an account; public tcp ports are one whatever their name', () => {
  const target: Target = {
    proto: 'https',
    host: 'a.internal',
    port: null,
    random: false,
    binding: 'internal',
  };
  expect(poolKey(target, 'A')).not.toBe(poolKey(target, 'B'));
  const tcp: Target = { proto: 'tcp', host: '1.tcp.test', port: 2_000, random: false, binding: 'public' };
  expect(poolKey(tcp, 'A')).toBe(poolKey({ ...tcp, host: '2.tcp.test' }, 'B'));
});
