import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { health, hello, presence, reported } from '../support/fleet-messages.ts';
import { TENANT } from '../support/fleet-world.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { makeOperator } from '../support/operator.ts';
import { spawnNode } from '../support/spawn-node.ts';
import { waitFor } from '../support/wait-for.ts';

const figure = (text: string, name: string): number => {
  const lines = text.split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
};

test('two exporters share the messages, each is counted once; both know the state of the fleet', async () => {
  const broker = await startMosquitto();
  const operator = await makeOperator(broker.url, 'broker');
  const devices = await connectAsync(broker.url, { protocolVersion: 5 });
  onTestFinished(() => devices.endAsync(true));
  const put = (device: string, leaf: string, body: object, retain: boolean) =>
    devices.publishAsync(`lk1/${TENANT}/d/${device}/${leaf}`, JSON.stringify(body), { qos: 1, retain });
  const names = Array.from({ length: 10 }, (_, i) => `dev-${i}00`);
  for (const [i, device] of names.entries()) {
    await put(device, 'presence', presence({ online: i !== 0 }), true);
    await put(device, 'hello', hello, true);
    await put(device, 'reported', reported(), true);
  }
  const start = async () => {
    const running = spawnNode('src/lockkeeper.ts', ['fleet', 'exporter', '--listen', '127.0.0.1:0'], {
      env: { LOCKKEEPER_PROFILE: operator.profile },
    });
    const url = /http:\S+/.exec(await running.line('metrics at'))?.[0] ?? '';
    return { running, scrape: async () => (await fetch(url)).text(), url };
  };
  const [one, two] = await Promise.all([start(), start()]);
  for (let n = 0; n < 20; n += 1)
    for (const device of names) await put(device, 'health', health({ n }), false);
  await devices.publishAsync(`lk1/${TENANT}/d/dev-000/health`, '{"v":2}', { qos: 1 });
  const NAME = 'lockkeeper_fleet_health_messages_total';
  const counts = await waitFor(async () => {
    const both = [figure(await one.scrape(), NAME), figure(await two.scrape(), NAME)];
    return both.reduce((a, b) => a + b) >= 200 ? both : null;
  });
  expect(counts.reduce((a, b) => a + b)).toBe(200);
  expect(Math.min(...counts)).toBeGreaterThan(0);
  for (const { scrape } of [one, two]) {
    const text = await scrape();
    expect(text).toContain('lockkeeper_fleet_devices{state="online"} 9');
    expect(text).toContain('lockkeeper_fleet_devices{state="offline"} 1');
    expect(text).toContain('lockkeeper_fleet_link_up 1');
  }
  expect((await fetch(one.url.replace('/metrics', '/other'))).status).toBe(404);
  one.running.kill('SIGTERM');
  expect((await one.running.exit).code).toBe(0);
  // The other takes all of it now.
  for (const device of names) await put(device, 'health', health({ n: 20 }), false);
  await waitFor(async () => figure(await two.scrape(), NAME) === (counts[1] ?? 0) + 10);
});
