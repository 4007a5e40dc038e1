import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ok } from '../../src/core/errors.ts';
import { createFleetLink } from '../../src/fleet/fleet-link.ts';
import { readSigner } from '../../src/fleet/key-files.ts';
import { setDesired } from '../../src/fleet/set-desired.ts';
import { signEnvelope } from '../../src/protocol/envelope.ts';
import { startAedes } from '../support/aedes.ts';
import { mqttConfig } from '../support/link-world.ts';
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

/** Lets a rival publish a document with the very revision that was just chosen, before or after ours. */
const race = async (rivalIsFirst: boolean) => {
  const { operator, device, broker } = await world();
  const signer = await readSigner(join(operator.dir, 'ops-1.json'));
  if (!signer.ok) throw new Error(signer.fault.message);
  const mqtt = mqttConfig({ url: broker.url });
  const link = createFleetLink({ tenant: 'acme', mqtt });
  onTestFinished(() => link.close());
  await link.ready(10_000);
  const cloud = await mqttPeer(broker.url);
  const publishRival = async (rev: number): Promise<void> => {
    const body = { v: 1, dev: 'press-7', rev, iat: 1_732_430_000, endpoints: [] };
    const text = await signEnvelope('lk1-desired', body, signer.value);
    await cloud.publish('lk1/acme/d/press-7/desired', text, { retain: true });
  };
  const set = setDesired(link, {
    device: 'press-7',
    content: { endpoints: [WEB] },
    signer: signer.value,
    knownRev: 0,
    timeoutS: 20,
    onRev: async (rev) => {
      if (rivalIsFirst) await publishRival(rev);
      return ok(undefined);
    },
  });
  if (!rivalIsFirst) {
    await waitFor(() => device.documents.length === 1);
    await publishRival(1);
  }
  return { outcome: await set, device };
};

test('tells a writer whose revision another writer took first', async () => {
  const { outcome, device } = await race(true);
  expect(outcome).toMatchObject({ ok: true, value: { kind: 'refused', fault: { code: 'REV_CONFLICT' } } });
  await waitFor(() => device.documents.length > 0, { what: "the rival's document at the device" });
  expect(device.documents).toMatchObject([{ rev: 1, endpoints: [] }]);
});

test('tells the writer who was first that the document is applied', async () => {
  const { outcome, device } = await race(false);
  expect(outcome).toMatchObject({ ok: true, value: { kind: 'applied', rev: 1 } });
  expect(device.documents).toMatchObject([{ rev: 1, endpoints: [WEB] }]);
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
