import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { mqttPeer } from '../support/mqtt-peer.ts';
import { makeOperator } from '../support/operator.ts';
import { startScriptedDevice } from '../support/scripted-device.ts';
import { waitFor } from '../support/wait-for.ts';

const WEB = { name: 'web', on: true, proto: 'http', upstream: 'hmi' };
const DOCUMENT = JSON.stringify({ endpoints: [WEB] });

const world = async (more: Partial<Parameters<typeof startScriptedDevice>[0]> = {}) => {
  const broker = await startAedes();
  const operator = await makeOperator(broker.url);
  const device = await startScriptedDevice({ url: broker.url, keysFile: await operator.keysText(), ...more });
  return { broker, operator, device };
};

test('writes the next revision and waits until it is applied', async () => {
  const { operator, device } = await world();
  const first = await operator.run(['desired', 'set', 'press-7'], { stdin: DOCUMENT });
  expect(first).toMatchObject({ code: 0, stdout: 'revision 1\napplied revision 1\n' });
  const second = await operator.json(['desired', 'set', 'press-7', '-'], { stdin: DOCUMENT });
  expect(second).toMatchObject({
    code: 0,
    body: { rev: 2, applied: 2, endpoints: [{ name: 'web', state: 'up' }] },
  });
  expect(device.documents).toMatchObject([
    { dev: 'press-7', rev: 1, endpoints: [WEB] },
    { dev: 'press-7', rev: 2 },
  ]);
});

test('reads the stored document, and says when there is none', async () => {
  const { operator } = await world();
  const none = await operator.json(['desired', 'get', 'press-7']);
  expect(none).toMatchObject({ code: 1, body: { code: 'DESIRED_CLEARED' } });
  await operator.run(['desired', 'set', 'press-7'], { stdin: DOCUMENT });
  const stored = await operator.json(['desired', 'get', 'press-7']);
  expect(stored).toMatchObject({ code: 0, body: { v: 1, dev: 'press-7', rev: 1, endpoints: [WEB] } });
  const raw = await operator.run(['desired', 'get', 'press-7', '--raw']);
  expect(raw.stdout).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]{86}\n$/);
});

test('takes what was read as the start of what is written', async () => {
  const { operator, device } = await world();
  await operator.run(['desired', 'set', 'press-7'], { stdin: DOCUMENT });
  const file = join(operator.dir, 'document.json');
  await writeFile(file, (await operator.run(['desired', 'get', 'press-7'])).stdout);
  expect(await operator.run(['desired', 'set', 'press-7', file])).toMatchObject({ code: 0 });
  expect(device.documents.at(-1)).toMatchObject({ rev: 2, endpoints: [WEB] });
});

test('ends with 1 when another writer took the revision first', async () => {
  const { operator, device, broker } = await world();
  const cloud = await mqttPeer(broker.url, { subscribe: 'lk1/acme/d/press-7/desired' });
  await operator.run(['desired', 'set', 'press-7'], { stdin: DOCUMENT });
  await waitFor(() => device.documents.length === 1);
  // Two writers that both read revision 1: the second to reach the broker is told.
  const rival = await makeOperator(broker.url);
  await writeFile(
    join(rival.dir, 'ops-1.json'),
    await (await import('node:fs/promises')).readFile(join(operator.dir, 'ops-1.json')),
    {
      mode: 0o600,
    },
  );
  const ends = await Promise.all([
    operator.run(['desired', 'set', 'press-7', '--timeout', '20'], { stdin: DOCUMENT }),
    rival.run(['desired', 'set', 'press-7', '--timeout', '20'], { stdin: JSON.stringify({ endpoints: [] }) }),
  ]);
  const revisions = device.documents.map((d) => d.rev);
  // Either they met (one wins, one is told), or one came after the other and both were applied in turn.
  const codes = ends.map((e) => e.code).sort();
  if (revisions.length === 2) {
    expect(codes).toEqual([0, 1]);
    expect(ends.find((e) => e.code === 1)?.stderr).toMatch(/REV_CONFLICT/);
  } else expect(revisions).toEqual([1, 2, 3]);
  expect(cloud.messages.length).toBeGreaterThanOrEqual(3);
});

test('ends with 1 at once when an endpoint is denied, and names it', async () => {
  const { operator } = await world({
    converge: () => [{ name: 'web', state: 'denied', code: 'UPSTREAM_DENIED' }],
  });
  const ended = await operator.run(['desired', 'set', 'press-7'], { stdin: DOCUMENT });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('web is denied (UPSTREAM_DENIED)');
});

test('ends with 75 when the device does not get there, and leaves the document for it', async () => {
  const { operator } = await world({ converge: () => undefined });
  const taken = await operator.run(['desired', 'set', 'press-7', '--timeout', '1s'], { stdin: DOCUMENT });
  expect(taken.code).toBe(75);
  expect(taken.stderr).toContain('has taken revision 1');
  const offline = await operator.run(['desired', 'set', 'press-8', '--timeout', '1s'], { stdin: DOCUMENT });
  expect(offline.code).toBe(75);
  expect(await operator.json(['desired', 'get', 'press-8'])).toMatchObject({ code: 0, body: { rev: 1 } });
});

test.each([
  ['broken JSON', '{"endpoints": [}'],
  ['an unknown key', JSON.stringify({ endpoints: [], color: 'red' })],
  ['another device', JSON.stringify({ dev: 'press-8', endpoints: [] })],
  ['an endpoint named twice', JSON.stringify({ endpoints: [WEB, WEB] })],
])('ends with 64 for a document with %s', async (_what, text) => {
  const { operator, device } = await world();
  const ended = await operator.run(['desired', 'set', 'press-7'], { stdin: text });
  expect(ended.code).toBe(64);
  expect(device.documents).toEqual([]);
});
