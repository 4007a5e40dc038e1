import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { fault } from '../../../src/core/errors.ts';
import { type CheckedEndpoint, createUpstreamChecks } from '../../../src/health/upstream-check.ts';
import { manualClock } from '../../support/manual-clock.ts';

const TARGET = { ref: 'hmi', host: '127.0.0.1', port: 8080 };
const DOWN = fault('UPSTREAM_DOWN', 'Upstream hmi (127.0.0.1:8080) does not answer.', true);

const world = (check: CheckedEndpoint['check'], names: readonly string[] = ['web']) => {
  const clock = manualClock();
  let isAlive = true;
  let dials = 0;
  let isWanted = true;
  const dialledTls: boolean[] = [];
  const checks = createUpstreamChecks({
    clock,
    dial: async (target) => {
      dials += 1;
      dialledTls.push(target.tls !== undefined);
      return isAlive
        ? { ok: true, socket: new Duplex({ read: () => undefined }) as unknown as Socket }
        : { ok: false, fault: DOWN };
    },
    endpoints: () => (isWanted ? names.map((endpoint) => ({ endpoint, target: TARGET, check })) : []),
    changed: () => undefined,
  });
  const stop = checks.start();
  return {
    clock,
    checks,
    stop,
    dialledTls,
    dials: () => dials,
    alive: (is: boolean) => {
      isAlive = is;
    },
    wanted: (is: boolean) => {
      isWanted = is;
    },
  };
};

test('an upstream that answers is left alone, one that does not is tried until it does', async () => {
  const { clock, checks, dials, alive, wanted } = world(null);
  await clock.advance(60_000);
  expect(dials()).toBe(1);
  wanted(false);
  await clock.advance(2000);
  alive(false);
  wanted(true);
  await clock.advance(2000);
  expect(checks.conditions()).toMatchObject([{ code: 'UPSTREAM_DOWN', endpoint: 'web' }]);
  const before = dials();
  await clock.advance(30_000);
  expect(dials()).toBeGreaterThan(before + 3);
  alive(true);
  await clock.advance(6000);
  expect(checks.conditions()).toEqual([]);
});

test('a configured check keeps its interval', async () => {
  const { clock, dials } = world({ type: 'tcp', path: '/', intervalS: 10 });
  await clock.advance(100_000);
  expect(dials()).toBeGreaterThanOrEqual(9);
  expect(dials()).toBeLessThanOrEqual(11);
});

test('endpoints that share an upstream share its check, and each gets its condition', async () => {
  const { clock, checks, dials, alive } = world({ type: 'tcp', path: '/', intervalS: 3600 }, ['one', 'two']);
  await clock.advance(0);
  expect(dials()).toBe(1);
  alive(false);
  await clock.advance(3_601_000);
  expect(checks.conditions().map((c) => c.endpoint)).toEqual(['one', 'two']);
});

test('type tls asks for a handshake, type none for nothing', async () => {
  const tls = world({ type: 'tls', path: '/', intervalS: 10 });
  await tls.clock.advance(0);
  expect(tls.dialledTls).toEqual([true]);
  const none = world({ type: 'none', path: '/', intervalS: 10 });
  await none.clock.advance(60_000);
  expect(none.dials()).toBe(0);
});

test('nothing is tried after the end', async () => {
  const { clock, dials, stop, alive } = world({ type: 'tcp', path: '/', intervalS: 1 });
  await clock.advance(5000);
  stop();
  const before = dials();
  alive(false);
  await clock.advance(60_000);
  expect(dials()).toBe(before);
});
