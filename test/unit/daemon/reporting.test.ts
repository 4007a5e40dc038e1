import { expect, test } from 'vitest';
import type { EndpointCounters } from '../../../src/core/endpoint.ts';
import { noCounters } from '../../../src/core/view.ts';
import { countActiveHours, hoursThisMonth } from '../../../src/daemon/active-hours.ts';
import { summariesOf } from '../../../src/daemon/conn-summary.ts';
import { DAY_BYTES, EVENTS_PER_MINUTE, LONGEST_REPORT_GAP_MS } from '../../../src/daemon/event-budget.ts';
import { healthPhaseMs } from '../../../src/daemon/health-beat.ts';
import { createOutbox, type Outbox } from '../../../src/daemon/outbox.ts';
import type { Link, LinkStatus, OutboundMessage, OutboxFile } from '../../../src/daemon/ports.ts';
import { createReporter, type Reporter } from '../../../src/daemon/reporter.ts';
import type { EndpointSnapshot, Snapshot } from '../../../src/daemon/snapshot.ts';
import { createWallTime } from '../../../src/daemon/wall-time.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const endpoint = (counters: Partial<EndpointCounters> = {}): EndpointSnapshot => ({
  name: 'web',
  state: 'up',
  url: 'https://press-7.site-a.example',
  since: 0,
  by: 'desired',
  leaseEndsAt: null,
  lastError: null,
  upstream: 'hmi',
  proto: 'http',
  counters: { ...noCounters(), ...counters },
  downCause: 'desired',
});

const picture = (over: Partial<Snapshot> = {}): Snapshot => ({
  session: { state: 'connected', since: 0, generation: 1, latencyMs: 41, reconnects: 0, lastError: null },
  endpoints: [endpoint()],
  locked: false,
  cred: { gen: 1, want: null, fingerprint: '0badcafe', state: 'ok' },
  conditions: [],
  ...over,
});

interface Rig {
  readonly clock: ManualClock;
  readonly reporter: Reporter;
  readonly outbox: Outbox;
  readonly sent: OutboundMessage[];
  /** Payloads sent to topics that end so. */
  of(kind: string): readonly Record<string, unknown>[];
  isUp: boolean;
  now: Snapshot;
  connS: number;
}

const rig = (file: OutboxFile | null = null): Rig => {
  const clock = manualClock();
  const sent: OutboundMessage[] = [];
  const outbox = createOutbox({ clock, file });
  const self: Rig = {
    clock,
    sent,
    outbox,
    isUp: true,
    now: picture(),
    connS: 0,
    of: (kind) =>
      sent
        .filter(({ topic }) => topic.includes(kind))
        .map(({ payload }) => JSON.parse(payload) as Record<string, unknown>),
    reporter: createReporter({
      clock,
      wall: createWallTime(clock),
      tenant: 'acme',
      device: 'press-7',
      boot: '0123456789abcdef',
      outbox,
      link: () =>
        ({
          status: () => ({ state: self.isUp ? 'connected' : 'offline' }) as LinkStatus,
          publish: (message: OutboundMessage) => {
            if (!self.isUp) return Promise.reject(new Error('no link'));
            sent.push(message);
            return Promise.resolve();
          },
        }) as Link,
      time: () => ({ nowS: Math.floor(clock.wall() / 1000), state: 'ntp' }) as never,
      snapshot: () => self.now,
      revisions: () => ({ rev: 3, applied: 3, bad: null }),
      newest: () => [],
      hello: () =>
        ({ boot: '0123456789abcdef', agent: '0.1.0', proto: 5, trust: 'signed', ops: ['ping'] }) as never,
      health: () =>
        Promise.resolve({
          up: Math.round(clock.now() / 1000),
          sys: { cpu: 0.123, mem: 0.456, disk: 0.321, t: 48.5, rss: 61_234 },
          q: { out: 0, drop: 0 },
          sec: {},
        }),
      activeHours: () => ({ web: { month: 412 } }),
      healthS: () => 300,
      connS: () => self.connS,
    }),
  };
  return self;
};

const bytesOf = (messages: readonly OutboundMessage[]): number =>
  messages.reduce((sum, { topic, payload }) => sum + topic.length + payload.length, 0);

test('an idle device sends at most 100 kB in a day, health at one phase and numbered without gaps', async () => {
  const r = rig();
  r.reporter.start(null);
  await r.reporter.up(1, false);
  await r.clock.advance(DAY_MS);
  r.reporter.stop();

  const health = r.of('/health');
  expect(health).toHaveLength(288);
  expect(health.map(({ n }) => n)).toEqual(health.map((_, at) => at));
  const phases = new Set(health.map(({ ts }) => Number(ts) % 300));
  expect([...phases]).toEqual([Math.floor(healthPhaseMs('press-7', 300_000) / 1000)]);
  expect(r.of('/reported').length).toBeLessThanOrEqual(2);
  expect(bytesOf(r.sent)).toBeLessThan(100_000);
});

test('while there is no link, health is not numbered, and goes on without a gap after it', async () => {
  const r = rig();
  r.reporter.start(null);
  await r.reporter.up(1, false);
  await r.clock.advance(HOUR_MS);
  r.isUp = false;
  await r.clock.advance(HOUR_MS);
  r.isUp = true;
  await r.clock.advance(HOUR_MS);
  const numbers = r.of('/health').map(({ n }) => n);
  expect(numbers).toEqual(numbers.map((_, at) => at));
  expect(numbers.length).toBe(24);
});

test('newest state only: what changed while the broker was away is one report', async () => {
  const r = rig();
  r.reporter.start(null);
  await r.reporter.up(1, false);
  r.isUp = false;
  for (const state of ['opening', 'failed', 'opening', 'up'] as const) {
    r.now = picture({ endpoints: [{ ...endpoint(), state }] });
    r.reporter.changed();
    await r.clock.advance(5000);
  }
  const before = r.of('/reported').length;
  r.isUp = true;
  await r.reporter.up(2, true);
  const reports = r.of('/reported').slice(before);
  expect(reports).toHaveLength(1);
  expect(reports[0]).toMatchObject({ endpoints: [{ name: 'web', state: 'up' }] });
});

test('what a report tells of began no later than the report was made', async () => {
  const r = rig();
  r.clock.setWall(r.clock.wall() + 700);
  r.now = picture({
    conditions: [{ code: 'SATURATED', severity: 'warning', message: 'Too many connections.' }],
  });
  r.reporter.start(null);
  await r.reporter.up(1, false);
  const [told] = r.of('/reported') as [
    {
      ts: number;
      session: { since: number };
      endpoints: { since: number }[];
      conditions: { since: number }[];
    },
  ];
  expect(told.session.since).toBe(told.ts);
  expect(told.endpoints.map(({ since }) => since)).toEqual([told.ts]);
  expect(told.conditions.map(({ since }) => since)).toEqual([told.ts]);
});

test('after a hand-over only what changed is told, and a condition has time to be found again', async () => {
  const r = rig();
  const full = { code: 'SATURATED', severity: 'warning', message: 'Too many connections.' } as const;
  const down = {
    code: 'UPSTREAM_DOWN',
    severity: 'warning',
    message: 'No answer.',
    endpoint: 'web',
  } as const;
  r.now = picture({ conditions: [full, down] });
  r.reporter.start(null);
  await r.reporter.up(1, false);
  await r.clock.advance(5000);
  expect(r.of('/event').map((e) => e['type'])).toEqual([
    'session.up',
    'endpoint.up',
    'condition.set',
    'condition.set',
  ]);
  r.reporter.stop();

  const next = rig();
  await next.clock.advance(60_000);
  next.now = picture({ conditions: [full] });
  next.reporter.start({ told: r.reporter.told(), spent: r.reporter.spent() });
  await next.reporter.up(1, false);
  expect(next.of('/event')).toEqual([]);
  const began = (next.reporter.conditions() ?? []).map((c) => [c.code, c.since]);
  expect(began).toEqual([
    ['SATURATED', 0],
    ['UPSTREAM_DOWN', 0],
  ]);
  await next.clock.advance(30_000);
  expect(next.of('/event')).toEqual([
    expect.objectContaining({ type: 'condition.cleared', code: 'UPSTREAM_DOWN' }),
  ]);
});

test('single connections beyond the minute are counted and told in one summary', async () => {
  const r = rig();
  r.reporter.start(null);
  await r.reporter.up(1, false);
  await r.clock.advance(60_000);
  for (let i = 0; i < 500; i++)
    r.reporter.event({ type: 'conn.opened', ep: 'web', data: { client: '203.0.113.9' } });
  r.reporter.uncounted('web', 7);
  await r.clock.advance(61_000);
  const events = r.of('/event/conn');
  expect(events.filter(({ type }) => type === 'conn.opened')).toHaveLength(EVENTS_PER_MINUTE);
  expect(events.filter(({ type }) => type === 'conn.summary')).toEqual([
    expect.objectContaining({ ep: 'web', data: { s: 60, opened: 500 - EVENTS_PER_MINUTE, untold: 7 } }),
  ]);
});

test("beyond the day's bytes events are dropped and counted, health goes on, and the next day is new", async () => {
  const r = rig();
  r.reporter.start(null);
  await r.reporter.up(1, false);
  const flood = async (): Promise<void> => {
    for (let i = 0; i < 3000; i++)
      r.reporter.event({
        type: 'security.alert',
        code: 'FLOOD',
        data: { msg: 'x'.repeat(190), a: 'y'.repeat(190), b: 'z'.repeat(190), c: 'w'.repeat(190) },
      });
    await r.clock.advance(1000);
  };
  await flood();
  expect(r.outbox.dropped()).toBeGreaterThan(0);
  expect(bytesOf(r.sent)).toBeLessThan(DAY_BYTES);
  const health = r.of('/health').length;
  await r.clock.advance(HOUR_MS);
  expect(r.of('/health').length).toBe(health + 12);
  const told = r.of('/event/security').length;
  await r.clock.advance(DAY_MS);
  r.reporter.event({ type: 'security.alert', code: 'FLOOD' });
  await r.clock.advance(1000);
  expect(r.of('/event/security').length).toBe(told + 1);
});

/** The session is cut every 3 s and comes back a second later. */
const flap = async (r: Rig, ms: number): Promise<void> => {
  const { session } = picture();
  for (const end = r.clock.now() + ms; r.clock.now() < end; ) {
    const lost = { ...session, state: 'connecting', since: r.clock.now() } as const;
    r.now = picture({ session: lost, endpoints: [{ ...endpoint(), state: 'opening' }] });
    r.reporter.changed();
    await r.clock.advance(1000);
    r.now = picture({ session: { ...session, since: r.clock.now() } });
    r.reporter.changed();
    await r.clock.advance(2000);
  }
};

const timesOf = (reports: readonly Record<string, unknown>[]): readonly number[] =>
  reports.slice(1).map(({ ts }, i) => Number(ts) - Number(reports[i]?.['ts']));

test('a session that flaps for a day stays under the ceiling; reports go on, more and more seldom, health as ever', async () => {
  const r = rig();
  r.reporter.start(null);
  await r.reporter.up(1, false);
  await flap(r, DAY_MS - 60_000);
  expect(bytesOf(r.sent)).toBeLessThan(DAY_BYTES);
  expect(r.of('/health').length).toBeGreaterThanOrEqual(287);
  const gaps = timesOf(r.of('/reported'));
  expect(Math.max(...gaps.slice(0, 100))).toBeLessThanOrEqual(3);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(LONGEST_REPORT_GAP_MS / 1000 + 3);
  const late = gaps.slice(-20);
  expect(Math.min(...late)).toBeGreaterThan(60);
  expect(r.outbox.dropped()).toBeGreaterThan(0);

  // The next supervisor has no other day.
  const next = rig();
  await next.clock.advance(r.clock.now());
  next.reporter.start({ told: r.reporter.told(), spent: r.reporter.spent() });
  next.reporter.event({ type: 'conn.opened', ep: 'web' });
  await next.clock.advance(1000);
  expect(next.of('/event')).toEqual([]);

  // The last state comes through, and what an operator asks for is told at once.
  const { length } = r.of('/reported');
  r.now = picture({ locked: true });
  r.reporter.changed();
  await r.clock.advance(3000);
  expect(r.of('/reported').length).toBe(length + 1);
  expect(r.of('/reported').at(-1)).toMatchObject({ locked: true });
  r.now = picture({ locked: true, session: { ...picture().session, state: 'down' } });
  r.reporter.changed();
  await r.clock.advance(LONGEST_REPORT_GAP_MS);
  expect(r.of('/reported').at(-1)).toMatchObject({ session: { state: 'down' } });
});

test('events beyond the minute are counted whatever their kind and told with their number; alarms are told all', async () => {
  const r = rig();
  r.reporter.start(null);
  await r.reporter.up(1, false);
  await r.clock.advance(60_000);
  const before = r.of('/event').length;
  await flap(r, 59_000);
  for (let i = 0; i < 30; i++) {
    r.reporter.event({ type: 'condition.set', code: `E${i}`, data: { severity: 'error', msg: 'x' } });
    r.reporter.event({ type: 'command.done', data: { id: `${i}`, op: 'ping', status: 'succeeded' } });
  }
  await r.clock.advance(1000);
  const told = r.of('/event').slice(before);
  const isAlarm = ({ type }: Record<string, unknown>): boolean =>
    type === 'condition.set' || type === 'command.done';
  expect(told.filter(isAlarm)).toHaveLength(60);
  const news = told.filter((e) => !isAlarm(e));
  expect(news).toHaveLength(EVENTS_PER_MINUTE);
  await r.clock.advance(61_000);
  const [sum, ...more] = r.of('/event/security');
  expect(more).toEqual([]);
  expect(sum).toMatchObject({ type: 'security.alert', code: 'EVENT_FLOOD', data: { s: 60 } });
  const { s: _, ...counts } = (sum?.['data'] ?? {}) as Record<string, number>;
  // Four events of each of the twenty cuts.
  expect(Object.values(counts).reduce((a, b) => a + b, 0)).toBe(80 - EVENTS_PER_MINUTE);
  const numbers = r.of('/event').map((e) => Number(e['n']));
  expect(numbers).toEqual(numbers.map((_n, at) => at));
});

test('a summary holds what came in its window, and an idle endpoint has none', async () => {
  const r = rig();
  r.connS = 300;
  r.reporter.start(null);
  await r.reporter.up(1, false);
  r.now = picture({
    endpoints: [
      endpoint({ requests: 10, connections: 2, bytesIn: 100, bytesOut: 900, responses: [0, 9, 0, 0, 1] }),
    ],
  });
  await r.clock.advance(301_000);
  await r.clock.advance(300_000);
  expect(r.of('/event/conn')).toEqual([
    expect.objectContaining({
      type: 'conn.summary',
      ep: 'web',
      data: { s: 300, conn: 2, open: 0, in: 100, out: 900, req: 10, r: [0, 9, 0, 0, 1] },
    }),
  ]);
});

test('totals that began anew are not negative', () => {
  const before = new Map([['web', endpoint({ connections: 50, bytesIn: 5000 }).counters]]);
  const now = new Map([['web', endpoint({ connections: 3, bytesIn: 30 }).counters]]);
  expect(summariesOf(before, now, 60)[0]?.data).toMatchObject({ conn: 3, in: 30 });
});

/** A file that only counts what is written to it. */
const countingFile = (found: readonly OutboundMessage[] = []) => {
  const file = {
    found,
    bytes: 0,
    written: 0,
    content: [] as OutboundMessage[],
    append: async (messages: readonly OutboundMessage[]) => {
      const bytes = JSON.stringify(messages).length;
      file.written += bytes;
      file.content.push(...messages);
      return bytes;
    },
    replace: async (messages: readonly OutboundMessage[]) => {
      const bytes = messages.length === 0 ? 0 : JSON.stringify(messages).length;
      file.written += bytes;
      file.content = [...messages];
      return bytes;
    },
  };
  return file;
};

test('with a link nothing is written; without one what waits is, once; with it again the file is empty', async () => {
  const file = countingFile();
  const r = rig(file);
  r.reporter.start(null);
  await r.reporter.up(1, false);
  await r.clock.advance(DAY_MS);
  expect(file.written).toBe(0);

  r.isUp = false;
  r.reporter.event({ type: 'session.lost', cause: 'down' });
  await r.clock.advance(10_000);
  expect(file.content).toHaveLength(1);
  const { written } = file;
  await r.clock.advance(DAY_MS);
  expect(file.written).toBe(written);

  r.isUp = true;
  await r.reporter.up(2, true);
  await r.clock.advance(10_000);
  expect(file.content).toEqual([]);
  expect(r.of('/event/session')).toHaveLength(2);
});

test('a day without the broker and an event every 10 s writes less than 4 MB and keeps the newest', async () => {
  const file = countingFile();
  const r = rig(file);
  r.reporter.start(null);
  r.isUp = false;
  for (let i = 0; i < 8640; i++) {
    r.reporter.event({ type: 'security.alert', code: `N${i}` });
    await r.clock.advance(10_000);
  }
  expect(file.written).toBeLessThan(4_000_000);
  expect(r.outbox.waiting()).toBe(500);
  expect(r.outbox.dropped()).toBeGreaterThan(8000);
  r.isUp = true;
  await r.reporter.up(1, false);
  expect(r.of('/event/security').at(-1)).toMatchObject({ code: 'N8639' });
});

test('what an earlier run left goes out first', async () => {
  const left: OutboundMessage = { topic: 'lk1/acme/d/press-7/event/session', payload: '{"n":7}', qos: 1 };
  const r = rig(countingFile([left]));
  r.reporter.start(null);
  await r.reporter.up(1, false);
  expect(r.of('/event')[0]).toEqual({ n: 7 });
});

test('an hour with traffic counts once, a new month begins at zero, and nothing new is nothing to write', () => {
  const at = Date.parse('2026-11-30T22:10:00Z');
  let hours = countActiveHours({}, [{ name: 'web', lastActiveMs: at }]);
  expect(hours['web']).toMatchObject({ month: 1, total: 1 });
  expect(countActiveHours(hours, [{ name: 'web', lastActiveMs: at + 60_000 }])).toBe(hours);
  expect(countActiveHours(hours, [{ name: 'web', lastActiveMs: null }])).toBe(hours);
  hours = countActiveHours(hours, [{ name: 'web', lastActiveMs: at + HOUR_MS }]);
  expect(hours['web']).toMatchObject({ month: 2, total: 2 });
  expect(hoursThisMonth(hours, at + 3 * HOUR_MS)['web']).toMatchObject({ month: 0, total: 2 });
  hours = countActiveHours(hours, [{ name: 'web', lastActiveMs: at + 2 * HOUR_MS }]);
  expect(hours['web']).toMatchObject({ month: 1, total: 3 });
});

test('names that come and go for ever do not fill the record', () => {
  let hours = {};
  for (let i = 0; i < 200; i++)
    hours = countActiveHours(hours, [{ name: `e${i}`, lastActiveMs: i * HOUR_MS }]);
  expect(Object.keys(hours)).toHaveLength(64);
  expect(hours).toHaveProperty('e199');
});
