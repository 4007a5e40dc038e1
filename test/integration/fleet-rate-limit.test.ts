import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createNgrokApi } from '../../src/fleet/api/index.ts';
import { openAuditLog } from '../../src/fleet/audit-log.ts';
import { openDeviceBook } from '../../src/fleet/device-book.ts';
import { createFleetLink } from '../../src/fleet/fleet-link.ts';
import { rotateFleet } from '../../src/fleet/rotation/rotate.ts';
import { startFleetWorld, TENANT } from '../support/fleet-world.ts';
import { tempDir } from '../support/temp-dir.ts';

// The minute of the real service is a second here, and three hundred devices are sixty: the same number of windows.
const LIMIT = 24;
const WINDOW_MS = 1000;
const DEVICES = 60;

const mostInAnyWindow = (times: readonly number[]): number =>
  Math.max(...times.map((at) => times.filter((t) => t >= at && t < at + WINDOW_MS).length));

test('beside another client that takes half of the limit a rotation ends well, and never sends more than the limit', async () => {
  const fleet = await startFleetWorld();
  onTestFinished(() => fleet.close());
  await fleet.enroll(DEVICES);
  const { line, api: server } = fleet.sandbox;
  Object.assign(server.rate, { limit: LIMIT, windowMs: WINDOW_MS });
  const sent: number[] = [];
  let refused = 0;
  const counting: typeof fetch = async (...args) => {
    sent.push(performance.now());
    const answer = await fetch(...args);
    if (answer.status === 429) refused += 1;
    return answer;
  };
  const api = createNgrokApi({
    ...line.api,
    // Longer than the service counts, as the real one is: a busy machine sends late what was granted in time.
    rate: { limit: LIMIT, windowMs: WINDOW_MS * 1.3 },
    fetch: counting,
  });
  if (!api.ok) throw new Error(api.fault.message);
  let isOver = false;
  const other = (async () => {
    while (!isOver) {
      await fetch(`${line.api.url}/tunnel_sessions`, {
        headers: { authorization: `Bearer ${line.api.key}`, 'ngrok-version': '2' },
      });
      await delay(WINDOW_MS / (LIMIT / 2));
    }
  })();
  const dir = await tempDir('lockkeeper-rate-');
  const audit = await openAuditLog(join(dir, 'audit.jsonl'), systemClock, 'run');
  if (!audit.ok) throw new Error(audit.fault.message);
  const link = createFleetLink({
    tenant: TENANT,
    mqtt: {
      url: line.broker.url,
      username: '',
      passwordFile: '',
      caFile: '',
      certFile: '',
      keyFile: '',
      alpn: '',
      protocol: 'auto',
      keepAliveS: 60,
    },
  });
  onTestFinished(() => link.close());
  await link.ready(10_000);
  const report = await rotateFleet(
    {
      api: api.value,
      link,
      signer: null,
      book: openDeviceBook(join(dir, 'devices')),
      audit: audit.value,
      clock: systemClock,
    },
    {
      scope: { kind: 'fleet' },
      isResumed: false,
      waves: [
        { kind: 'count', value: 1 },
        { kind: 'percent', value: 100 },
      ],
      maxFailures: { kind: 'count', value: 0 },
      concurrency: 20,
      soakMs: 0,
      deviceTimeoutS: 30,
      sessionsMs: 20_000,
      mayBeUnrestricted: false,
    },
  );
  isOver = true;
  await other;
  if (!report.ok) throw new Error(report.fault.message);
  expect(report.value.outcomes.filter(({ state }) => state !== 'done')).toEqual([]);
  expect(report.value).toMatchObject({ total: DEVICES, stopped: null, isProved: true });
  // It was refused, waited and went on; and by itself it kept to the limit.
  expect(refused).toBeGreaterThan(0);
  expect(mostInAnyWindow(sent)).toBeLessThanOrEqual(LIMIT);
  Object.assign(server.rate, { limit: 1_000_000 });
  expect(await fleet.flaws()).toEqual([]);
});
