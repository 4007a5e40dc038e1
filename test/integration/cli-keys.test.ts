import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readEnvelope, verifyEnvelope } from '../../src/protocol/envelope.ts';
import { openKeySet, parseKeysFile } from '../../src/protocol/keyset.ts';
import { importVerifier, makeSigningKey } from '../../src/protocol/signing-key.ts';
import { startAedes } from '../support/aedes.ts';
import { makeOperator } from '../support/operator.ts';
import { startScriptedDevice } from '../support/scripted-device.ts';

const setOf = async (text: string) => {
  const file = parseKeysFile(text);
  if (!file.ok) throw new Error(file.message);
  const set = await openKeySet(file.value.set, file.value.root);
  if (!set.ok) throw new Error(set.fault.message);
  return set.value;
};

test('makes keys that only their owner may read, and a keys file that devices can verify', async () => {
  const operator = await makeOperator('mqtt://127.0.0.1:1');
  for (const name of ['root.json', 'ops-1.json'])
    expect((await stat(join(operator.dir, name))).mode & 0o777).toBe(0o600);
  expect(await setOf(await operator.keysText())).toMatchObject({
    version: 1,
    keys: [{ kid: 'ops-1', ops: ['*'] }],
  });
  const secret = JSON.parse(await readFile(join(operator.dir, 'root.json'), 'utf8')) as { d: string };
  expect(await operator.keysText()).not.toContain(secret.d);
});

test('never writes over keys that are there', async () => {
  const operator = await makeOperator('mqtt://127.0.0.1:1');
  const before = await readFile(join(operator.dir, 'root.json'), 'utf8');
  expect((await operator.run(['keys', 'init'])).code).toBe(1);
  expect(await readFile(join(operator.dir, 'root.json'), 'utf8')).toBe(before);
});

test('adds a key with limits and takes it out again, each time with the next version', async () => {
  const operator = await makeOperator('mqtt://127.0.0.1:1');
  const noc = join(operator.dir, 'noc.json');
  const added = await operator.json([
    'keys',
    'add',
    'noc-1',
    '--key-file',
    noc,
    '--ops',
    'stop,ping',
    '--groups',
    'lab',
    '--not-after',
    '30d',
  ]);
  expect(added).toMatchObject({ code: 0, body: { version: 2 } });
  const { keys } = await setOf(await operator.keysText());
  expect(keys[1]).toMatchObject({ kid: 'noc-1', ops: ['stop', 'ping'], groups: ['lab'] });
  const { x } = await makeSigningKey('hsm-1');
  expect((await operator.run(['keys', 'add', 'hsm-1', '--public-key', x])).code).toBe(0);
  expect((await operator.run(['keys', 'add', 'noc-1', '--public-key', x])).code).toBe(64);
  expect((await operator.run(['keys', 'revoke', 'noc-1'])).code).toBe(0);
  expect(await setOf(await operator.keysText())).toMatchObject({
    version: 4,
    keys: [{ kid: 'ops-1' }, { kid: 'hsm-1' }],
  });
  expect((await operator.run(['keys', 'revoke', 'nobody'])).code).toBe(64);
});

test('brings a new set to devices, after which the revoked key is not believed', async () => {
  const broker = await startAedes();
  const operator = await makeOperator(broker.url);
  const device = await startScriptedDevice({ url: broker.url, keysFile: await operator.keysText() });
  const second = join(operator.dir, 'ops-2.json');
  await operator.run(['keys', 'add', 'ops-2', '--key-file', second]);
  expect(await operator.run(['keys', 'publish', 'press-7'])).toMatchObject({
    code: 0,
    stdout: 'press-7  succeeded version=2\n',
  });
  await operator.run(['keys', 'revoke', 'ops-1']);
  const published = await operator.json(['keys', 'publish', 'press-7', '--key-file', second]);
  expect(published).toMatchObject({
    code: 0,
    body: { version: 3, devices: [{ device: 'press-7', status: 'succeeded' }] },
  });
  const old = await operator.run(['send', 'press-7', 'ping', '--timeout', '1s']);
  expect(old.code).toBe(75);
  expect((await operator.run(['send', 'press-7', 'ping', '--key-file', second])).code).toBe(0);
  expect(device.refusals).toEqual(['dropped']);
});

test('replaces the whole set with the root key alone', async () => {
  const broker = await startAedes();
  const operator = await makeOperator(broker.url);
  await startScriptedDevice({ url: broker.url, keysFile: await operator.keysText() });
  await operator.run(['keys', 'add', 'ops-2', '--key-file', join(operator.dir, 'ops-2.json')]);
  await operator.run(['keys', 'revoke', 'ops-1']);
  expect((await operator.run(['keys', 'publish', 'press-7', '--with-root'])).code).toBe(0);
});

const commandBody = {
  v: 1,
  id: '01JF0K8ZQ4M9T2V5X7B3000001',
  to: 'd:press-7',
  op: 'ping',
  iat: 1_732_430_000,
  exp: 1_732_430_300,
  seq: 7,
};

test('signs offline what is in the file, times included', async () => {
  const operator = await makeOperator('mqtt://127.0.0.1:1');
  const signed = await operator.run(['sign', 'cmd', '-'], { stdin: JSON.stringify(commandBody) });
  expect(signed.code).toBe(0);
  const shape = readEnvelope(signed.stdout.trim(), 'lk1-cmd');
  if (shape === undefined) throw new Error(signed.stdout);
  const { keys } = await setOf(await operator.keysText());
  const payload = await verifyEnvelope(shape, await importVerifier(keys[0]?.x ?? ''));
  expect(JSON.parse(Buffer.from(payload ?? []).toString())).toEqual(commandBody);
});

test('signs a document with a key named on the command line', async () => {
  const operator = await makeOperator('mqtt://127.0.0.1:1');
  const file = join(operator.dir, 'document.json');
  await writeFile(file, JSON.stringify({ v: 1, dev: 'press-7', rev: 9, iat: 1, endpoints: [] }));
  const args = ['--kid', 'ops-1', '--key-file', join(operator.dir, 'ops-1.json')];
  const signed = await operator.run(['sign', 'desired', file, ...args], {
    env: { LOCKKEEPER_PROFILE: undefined, XDG_CONFIG_HOME: operator.dir },
  });
  expect(readEnvelope(signed.stdout.trim(), 'lk1-desired')).toMatchObject({ kid: 'ops-1' });
});

test.each([
  ['what is neither command nor document', ['sign', 'poem', '-'], '{}'],
  ['broken JSON', ['sign', 'cmd', '-'], '{'],
  ['an unknown operation', ['sign', 'cmd', '-'], JSON.stringify({ ...commandBody, op: 'dance' })],
  ['a file that is not there', ['sign', 'cmd', '/nonexistent.json'], ''],
  [
    'a key that is not there',
    ['sign', 'cmd', '-', '--key-file', '/nonexistent.json'],
    JSON.stringify(commandBody),
  ],
])('ends with 64 for %s', async (_what, args, stdin) => {
  const operator = await makeOperator('mqtt://127.0.0.1:1');
  const ended = await operator.run(args, { stdin });
  expect(ended).toMatchObject({ code: 64, stdout: '' });
});
