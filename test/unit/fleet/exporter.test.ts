import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createFleetMetrics } from '../../../src/fleet/exporter/metrics.ts';
import { parseListen } from '../../../src/fleet/exporter/serve.ts';
import { type DeviceRow, deviceRow } from '../../../src/fleet/watch/device-row.ts';
import { BOOT, health, NOW_S, settings, wholeDevice } from '../../support/fleet-messages.ts';

const word = (): string => randomBytes(6).toString('hex');

const rowsOf = (count: number): readonly DeviceRow[] =>
  Array.from({ length: count }, (_, i) => {
    const device = `dev-${word()}`;
    const row = deviceRow(
      device,
      wholeDevice(device, {
        reported: {
          conditions: [{ code: word().toUpperCase(), severity: 'warning', since: 1 }],
          endpoints: [
            { name: 'web', state: i % 2 === 0 ? 'up' : 'failed', url: `https://${word()}.edge.test` },
          ],
        },
      }),
      null,
      settings(),
    );
    return row.versions === null ? row : { ...row, versions: { ...row.versions, agent: word() } };
  });

const series = async (metrics: ReturnType<typeof createFleetMetrics>): Promise<number> =>
  (await metrics.registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    .length;

test('the number of series does not grow with the fleet, whatever devices send', async () => {
  const metrics = createFleetMetrics();
  const flood = (): void => {
    for (let i = 0; i < 500; i += 1) {
      metrics.health(health({ sess: word(), sys: { cpu: i % 100, t: 40 } }));
      metrics.event({
        v: 1,
        ts: NOW_S,
        boot: BOOT,
        n: i,
        type: 'endpoint.up',
        ep: `e${i}`,
        code: word().toUpperCase(),
      });
      metrics.result({
        v: 1,
        id: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
        op: word(),
        status: 'failed',
        n: 1,
        ts: NOW_S,
        boot: BOOT,
        code: word().toUpperCase(),
      });
    }
    metrics.state(rowsOf(200));
  };
  flood();
  const before = await series(metrics);
  for (let i = 0; i < 5; i += 1) flood();
  expect(await series(metrics)).toBe(before);
  const text = await metrics.registry.metrics();
  expect(text).toContain('lockkeeper_fleet_events_total{type="endpoint.up",code="other"} 3000');
  expect(text).toContain('lockkeeper_fleet_agent_versions{version="other"} 180');
  expect(text).toContain('lockkeeper_fleet_devices{state="online"} 200');
  expect(text).toContain('lockkeeper_fleet_endpoints{state="up"} 100');
  // Without a link nothing is said of the fleet.
  metrics.state(null);
  expect(await metrics.registry.metrics()).not.toMatch(/^lockkeeper_fleet_devices\{/m);
});

test('where it listens', () => {
  expect(parseListen('127.0.0.1:9469')).toEqual({ host: '127.0.0.1', port: 9469 });
  expect(parseListen('[::1]:0')).toEqual({ host: '::1', port: 0 });
  expect(['9469', ':9469', 'a:b', 'host:70000', '::1:1'].map(parseListen)).toEqual(Array(5).fill(undefined));
});
