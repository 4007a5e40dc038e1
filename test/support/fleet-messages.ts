/** What devices publish, for tests of whoever reads a fleet. */
import type { InboundMessage } from '../../src/daemon/ports.ts';
import type { DeviceFacts, FleetFacts } from '../../src/fleet/watch/facts.ts';
import { DEFAULT_WATCH, type WatchSettings } from '../../src/fleet/watch/judge.ts';
import { type DeviceSeen, foldMessage } from '../../src/fleet/watch/seen.ts';
import type { HealthMessage } from '../../src/protocol/health-schema.ts';
import type { PresenceMessage } from '../../src/protocol/presence-schema.ts';
import type { ReportedMessage } from '../../src/protocol/reported-schema.ts';

export const BOOT = '9f3c1a7e5b2d4c60';
/** 2026-01-01T00:00:00Z. */
export const NOW_MS = 1_767_225_600_000;
export const NOW_S: number = NOW_MS / 1000;

export const settings = (over: Partial<WatchSettings> = {}): WatchSettings => ({
  ...DEFAULT_WATCH,
  nowMs: NOW_MS,
  listeningSinceMs: null,
  ...over,
});

export const presence = (over: Partial<PresenceMessage> = {}): PresenceMessage => ({
  v: 1,
  online: true,
  boot: BOOT,
  n: 1,
  ts: NOW_S - 600,
  ...over,
});

export const reported = (over: Partial<ReportedMessage> = {}): ReportedMessage => ({
  v: 1,
  ts: NOW_S - 600,
  boot: BOOT,
  rev: 3,
  applied: 3,
  cred: { gen: 1, state: 'ok' },
  session: { state: 'up', since: NOW_S - 600 },
  endpoints: [{ name: 'web', state: 'up', url: 'https://press-7.edge.test', by: 'desired' }],
  ...over,
});

export const hello = {
  v: 1,
  boot: BOOT,
  agent: '0.1.0',
  ngrok: '1.7.0',
  node: '26.10.0',
  proto: 5,
  trust: 'signed',
  ops: ['start', 'stop', 'rekey'],
} as const;

export const health = (over: Partial<HealthMessage> = {}): HealthMessage => ({
  v: 1,
  ts: NOW_S,
  boot: BOOT,
  n: 0,
  sess: 'up',
  lat: 41,
  ...over,
});

export const message = (device: string, leaf: string, body: unknown, retain = true): InboundMessage => ({
  topic: `lk1/acme/d/${device}/${leaf}`,
  payload: Buffer.from(body === null ? '' : JSON.stringify(body)),
  retain,
});

/** Takes messages in, one after the other, each with its time. */
export const reader = () => {
  const devices = new Map<string, DeviceSeen>();
  return {
    devices,
    take(next: InboundMessage, atMs: number = NOW_MS): boolean {
      const folded = foldMessage((device) => devices.get(device), next, atMs);
      if (folded !== null) devices.set(folded.device, folded.seen);
      return folded !== null;
    },
  };
};

/** A device that has shown all that it keeps stored. */
export const wholeDevice = (
  device = 'press-7',
  more: { readonly presence?: Partial<PresenceMessage>; readonly reported?: Partial<ReportedMessage> } = {},
): DeviceSeen => {
  const r = reader();
  r.take(message(device, 'presence', presence(more.presence)));
  r.take(message(device, 'hello', hello));
  r.take(message(device, 'reported', reported(more.reported)));
  const seen = r.devices.get(device);
  if (seen === undefined) throw new Error('the device showed nothing');
  return seen;
};

export const noFacts: FleetFacts = {
  devices: new Map(),
  pools: [],
  credentialsOfNobody: [],
  sessionsOfNobody: [],
};

/** A device as ngrok knows it: one scoped credential a day old, one session on it. */
export const goodFacts = (over: Partial<DeviceFacts> = {}): DeviceFacts => ({
  site: 'lyon',
  credentials: [
    {
      id: 'cr_1',
      gen: 1,
      rotation: null,
      scope: null,
      createdAt: new Date(NOW_MS - 86_400_000).toISOString(),
      acl: ['bind:press-7.edge.test'],
      ownerId: 'service_1',
      isUnrestricted: false,
    },
  ],
  sessions: [
    {
      id: 'ts_1',
      credential: 'cr_1',
      credentialOf: 'press-7',
      says: 'press-7',
      ip: '192.0.2.1',
      region: 'eu',
      agentVersion: '1.7.0',
      startedAt: new Date(NOW_MS - 600_000).toISOString(),
    },
  ],
  endpoints: [{ id: 'ep_1', url: 'https://press-7.edge.test', session: 'ts_1' }],
  ...over,
});
