import { expect, test } from 'vitest';
import { ok } from '../../../src/core/errors.ts';
import { initialObserved, type Observed } from '../../../src/core/observed.ts';
import { adoptedView, withAdopted } from '../../../src/daemon/adoption.ts';
import {
  type ContinuityRecord,
  continued,
  createContinuity,
  readContinuity,
} from '../../../src/daemon/continuity.ts';
import type { AdoptedTunnel } from '../../../src/daemon/ports.ts';
import { createWallTime } from '../../../src/daemon/wall-time.ts';
import { manualClock } from '../../support/manual-clock.ts';

const DAY_MS = 86_400_000;
const URL = 'https://press-7.site-a.example';

const record = (more: Partial<ContinuityRecord> = {}): ContinuityRecord => ({
  v: 1,
  at: 50_000,
  released: false,
  offsetMs: 1000,
  tunnels: ['t1'],
  reconnects: 4,
  hadSession: true,
  upSince: 10_000,
  downSince: null,
  bindRefusals: [
    {
      endpoint: 'foreign',
      key: 'k',
      slot: 'a',
      fault: { code: 'NGROK_URL_DENIED', message: 'Not allowed.', retryable: false } as never,
      cls: 'F-conf',
      attempt: 2,
      at: 12_000,
      retryAt: 900_000,
    },
  ],
  told: {
    session: { state: 'connected' },
    endpoints: [{ name: 'web', state: 'up', url: URL, since: 11_000 }],
    conditions: [{ code: 'SATURATED', severity: 'warning', message: 'Full.', since: 20_000, goneAt: null }],
    lostAt: null,
  },
  spent: { dayAt: 0, bytes: 1000 },
  ...more,
});

const web = { spec: { name: 'web' } as never, url: URL, endpointId: 'e', serving: true, boundAt: 10_990 };

const tunnel = (more: Partial<AdoptedTunnel> = {}): AdoptedTunnel => ({
  tunnel: 't1',
  pid: 7,
  slot: 'a',
  generation: 1,
  sessionId: 's',
  connected: true,
  connectedAt: 9990,
  endpoints: [web],
  ...more,
});

const takeOver = (adopted: readonly AdoptedTunnel[], past: ContinuityRecord | null): Observed =>
  withAdopted(
    initialObserved(60_000),
    adopted,
    adopted.map((a) => adoptedView(a, () => 'key', past, 60_000)),
    past,
    60_000,
  );

const webSince = (o: Observed): number | undefined => o.tunnels[0]?.endpoints['web']?.since;

test('a tunnel that nothing befell goes on as the supervisor before saw it', () => {
  const o = takeOver([tunnel()], record());
  expect(o).toMatchObject({ upSince: 10_000, downSince: null, reconnects: 4, hadSession: true });
  expect(webSince(o)).toBe(11_000);
  expect(o.bindRefusals.map((r) => r.endpoint)).toEqual(['foreign']);
});

test('a session and a bind that were made anew while nobody looked begin then, and the session counts', () => {
  const o = takeOver([tunnel({ connectedAt: 55_000, endpoints: [{ ...web, boundAt: 56_000 }] })], record());
  expect(o).toMatchObject({ upSince: 55_000, reconnects: 5 });
  expect(webSince(o)).toBe(56_000);
});

test('without a record the tunnel itself knows since when; one of an older version begins now', () => {
  const o = takeOver([tunnel()], null);
  expect(o).toMatchObject({ upSince: 9990, reconnects: 0, hadSession: true, bindRefusals: [] });
  expect(webSince(o)).toBe(10_990);
  const { connectedAt: _, ...old } = tunnel();
  expect(takeOver([{ ...old, endpoints: [] }], record())).toMatchObject({ upSince: 60_000, reconnects: 4 });
});

test('a session that is away is away since it was lost', () => {
  const past = record({ upSince: null, downSince: 40_000 });
  expect(takeOver([tunnel({ connected: false })], past)).toMatchObject({ upSince: null, downSince: 40_000 });
});

test('a record counts where its tunnel is adopted, or at once after a hand-over; never that of another boot', () => {
  expect(continued(record(), [tunnel()], 60_000)).not.toBeNull();
  expect(continued(record(), [tunnel({ tunnel: 't9' })], 60_000)).toBeNull();
  expect(continued(record(), [], 60_000)).toBeNull();
  expect(continued(record({ released: true }), [], 60_000)).not.toBeNull();
  expect(continued(record({ released: true }), [], 600_000)).toBeNull();
  expect(continued(record({ released: true }), [tunnel()], 40_000)).toBeNull();
});

test('what is not a whole record is none', () => {
  expect(readContinuity(JSON.parse(JSON.stringify(record())))).toEqual(record());
  expect(readContinuity(null)).toBeNull();
  const { told } = record();
  for (const wrong of [
    {},
    [],
    'x',
    { ...record(), v: 2 },
    { ...record(), at: null },
    { ...record(), tunnels: [1] },
    { ...record(), upSince: 'now' },
    { ...record(), bindRefusals: [{}] },
    { ...record(), told: null },
    { ...record(), spent: { bytes: 1 } },
    { ...record(), told: { ...told, conditions: [{ code: 'X' }] } },
    { ...record(), told: { ...told, endpoints: [null] } },
  ])
    expect(readContinuity(wrong)).toBeUndefined();
});

/** A store that counts what is written. */
const rig = () => {
  const clock = manualClock();
  const saved: (ContinuityRecord | null)[] = [];
  let observed = initialObserved(0);
  const continuity = createContinuity({
    clock,
    wall: createWallTime(clock),
    store: {
      get: () => saved.at(-1) ?? null,
      save: (value) => {
        saved.push(value);
        return Promise.resolve(ok(undefined));
      },
      recovered: 'no',
    },
    observed: () => observed,
    told: () => record().told,
    spent: () => record().spent,
  });
  return {
    clock,
    saved,
    continuity,
    flap: () => {
      observed = { ...observed, reconnects: observed.reconnects + 1 };
      continuity.look();
    },
  };
};

test('an idle day is one write; a change is on disk at once; a device that flaps writes less than 1 MB a day', async () => {
  const { clock, saved, continuity, flap } = rig();
  continuity.start();
  for (let i = 0; i < 1440; i += 1) {
    continuity.look();
    await clock.advance(DAY_MS / 1440);
  }
  expect(saved).toHaveLength(1);
  flap();
  await clock.advance(1000);
  expect(saved.at(-1)?.reconnects).toBe(1);
  for (let i = 0; i < 8640; i += 1) {
    flap();
    await clock.advance(DAY_MS / 8640);
  }
  // Two copies of each.
  expect(2 * JSON.stringify(saved).length).toBeLessThan(1_000_000);
  await clock.advance(600_000);
  expect(saved.at(-1)?.reconnects).toBe(8641);
});

test('a hand-over leaves all as it is at that moment, a stop nothing', async () => {
  const { clock, saved, continuity, flap } = rig();
  continuity.start();
  flap();
  await continuity.release();
  expect(saved.at(-1)).toMatchObject({ released: true, reconnects: 1 });
  flap();
  await clock.advance(DAY_MS);
  expect(saved).toHaveLength(1);
  await continuity.end();
  expect(continuity.left()).toBeNull();
});
