import { expect, test } from 'vitest';
import type { Credential, Endpoint, TunnelSession } from '../../../../src/fleet/api/index.ts';
import { descriptionOf, formatTag } from '../../../../src/fleet/credential-tag.ts';
import { factsOf } from '../../../../src/fleet/watch/facts.ts';
import { isAlarming, summarize } from '../../../../src/fleet/watch/summary.ts';
import {
  hello,
  message,
  NOW_MS,
  NOW_S,
  presence,
  reader,
  reported,
  settings,
} from '../../../support/fleet-messages.ts';

const DEVICES = 10_000;
const name = (i: number): string => `dev-${String(i).padStart(5, '0')}`;
const at = (agoMs: number): string => new Date(NOW_MS - agoMs).toISOString();

test('ten thousand devices: every one has its row, and only what is wrong is named', () => {
  const r = reader();
  const credentials: Credential[] = [];
  const sessions: TunnelSession[] = [];
  const endpoints: Endpoint[] = [];
  for (let i = 0; i < DEVICES; i += 1) {
    const device = name(i);
    const isOff = i % 1000 === 7;
    const isStuck = i % 1000 === 8;
    r.take(message(device, 'presence', presence({ online: !isOff })));
    r.take(message(device, 'hello', hello));
    r.take(
      message(
        device,
        'reported',
        reported(isStuck ? { session: { state: 'down', since: NOW_S - 3600, err: 'NGROK_NET' } } : {}),
      ),
    );
    const mint = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
    credentials.push({
      id: `cr_${i}`,
      created_at: at(86_400_000),
      description: descriptionOf('acme', device),
      metadata: formatTag({ tenant: 'acme', device, gen: 1, mint, site: `site-${i % 40}` }),
      token: null,
      acl: [`bind:${device}.edge.test`],
    });
    if (isOff || isStuck) continue;
    sessions.push({
      id: `ts_${i}`,
      agent_version: '1.7.0',
      credential: { id: `cr_${i}` },
      ip: '192.0.2.1',
      metadata: JSON.stringify({ device }),
      os: 'linux',
      region: 'eu',
      started_at: at(600_000),
      transport: 'ngrok/2',
    });
    endpoints.push({
      id: `ep_${i}`,
      type: 'ephemeral',
      url: `https://${device}.edge.test`,
      bindings: ['public'],
      tunnel_session: { id: `ts_${i}` },
    });
  }
  // One box was cloned: another session serves its name with its token.
  sessions.push({ ...(sessions[0] as TunnelSession), id: 'ts_clone', ip: '198.51.100.1' });
  endpoints.push({ ...(endpoints[0] as Endpoint), id: 'ep_clone', tunnel_session: { id: 'ts_clone' } });
  // Another tenant's credential in the same account is nobody's business here.
  credentials.push({
    ...(credentials[0] as Credential),
    id: 'cr_other',
    metadata: formatTag({ tenant: 'other', device: 'press-1', gen: 1, mint: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }),
  });

  const summary = summarize(r.devices, factsOf('acme', { credentials, sessions, endpoints }), settings());
  expect(summary.total).toBe(DEVICES);
  expect(summary.counts).toEqual({ online: 9980, offline: 10, stuck: 10, unknown: 0 });
  expect(
    new Set(summary.rows.filter(isAlarming).map(({ device }) => Number(device.slice(4)) % 1000)),
  ).toEqual(new Set([7, 8]));
  const wrong = summary.rows.filter(({ state, conditions }) => state === 'online' && conditions.length > 0);
  expect(wrong.map(({ device, conditions }) => [device, conditions.map(({ code }) => code)])).toEqual([
    ['dev-00000', ['TOKEN_SHARED', 'STRAY_POOL_MEMBER']],
  ]);
  expect(new Set(summary.rows.map(({ site }) => site)).size).toBe(40);
  expect(summary.conditions).toEqual([]);
});
