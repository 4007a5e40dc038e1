import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeDeviceKey } from '../../src/protocol/device-key.ts';
import { startAedes } from '../support/aedes.ts';
import { freePort } from '../support/free-port.ts';
import { mqttPeer } from '../support/mqtt-peer.ts';
import { makeOperator } from '../support/operator.ts';
import { BOOT, startScriptedDevice } from '../support/scripted-device.ts';

const TOKEN = '2canary0token0that0must0never0show_1234567890abcdef';

const signedWorld = async (more: Partial<Parameters<typeof startScriptedDevice>[0]> = {}) => {
  const broker = await startAedes();
  const operator = await makeOperator(broker.url);
  const device = await startScriptedDevice({ url: broker.url, keysFile: await operator.keysText(), ...more });
  return { broker, operator, device };
};

test('sends a signed command, follows it to its end and prints each status on a line', async () => {
  const { operator, device } = await signedWorld();
  const ended = await operator.run(['send', 'press-7', 'start', 'web', '--lease', '15m']);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(ended.stdout).toBe('accepted\nsucceeded url=https://press-7.edge.test\n');
  expect(device.commands).toMatchObject([{ op: 'start', args: { ep: 'web', lease_s: 900 } }]);
});

test('prints one JSON document with --json and nothing else', async () => {
  const { operator } = await signedWorld();
  const { code, body } = await operator.json(['send', 'press-7', 'ping']);
  expect(code).toBe(0);
  expect(body).toMatchObject({ v: 1, op: 'ping', status: 'succeeded', n: 2 });
});

test('ends with 1 and the reason when the device refuses or fails', async () => {
  const { operator } = await signedWorld({
    endings: () => ({ status: 'failed', code: 'NGROK_LIMIT', msg: 'too many sessions' }),
  });
  const ended = await operator.run(['send', 'press-7', 'restart']);
  expect(ended.code).toBe(1);
  expect(ended.stdout).toContain('failed NGROK_LIMIT: too many sessions');
});

test('ends with 75 when the device says nothing in time, and says what it last said', async () => {
  const { operator } = await signedWorld({ endings: () => 'none' });
  const said = await operator.run(['send', 'press-7', 'ping', '--timeout', '2s']);
  expect(said.code).toBe(75);
  expect(said.stderr).toContain('only said accepted');
  const silent = await operator.json(['send', 'press-8', 'ping', '--timeout', '1']);
  expect(silent).toMatchObject({ code: 75, body: { code: 'DEADLINE', retryable: true } });
});

test('ends with 75 when the broker cannot be reached', async () => {
  const operator = await makeOperator(`mqtt://127.0.0.1:${await freePort()}`);
  const ended = await operator.json(['send', 'press-7', 'ping', '--timeout', '1s']);
  expect(ended).toMatchObject({ code: 75, body: { code: 'BROKER_NET' } });
});

test('never takes a sequence number twice, however many run at once', async () => {
  const { operator, device } = await signedWorld();
  const ends = await Promise.all(Array.from({ length: 4 }, () => operator.run(['send', 'press-7', 'ping'])));
  expect(ends.map((e) => e.code)).toEqual([0, 0, 0, 0]);
  expect(new Set(device.commands.map((c) => c.seq)).size).toBe(4);
  expect(device.refusals).toEqual([]);
});

test('asks once more with the boot nonce when the device is not sure of its clock', async () => {
  const { operator, device } = await signedWorld({ clock: 'none' });
  const ended = await operator.run(['send', 'press-7', 'ping']);
  expect(ended.code).toBe(0);
  expect(device.refusals).toEqual(['CLOCK_UNSURE']);
  expect(device.commands).toMatchObject([{ boot: BOOT }]);
});

test('does not connect with the id of a device', async () => {
  const { operator, broker } = await signedWorld();
  await operator.run(['send', 'press-7', 'ping']);
  expect(broker.connects.filter((id) => id === 'press-7')).toHaveLength(1);
});

test('sends unsigned commands only when asked to', async () => {
  const broker = await startAedes();
  const operator = await makeOperator(broker.url, 'broker');
  const device = await startScriptedDevice({ url: broker.url });
  const unsigned = await operator.run(['send', 'press-7', 'ping']);
  expect(unsigned.code).toBe(0);
  const signed = await operator.run(['send', 'press-7', 'ping', '--trust', 'signed']);
  expect(signed.code).toBe(64);
  expect(device.commands).toHaveLength(1);
});

test('works without a profile when the options say everything', async () => {
  const broker = await startAedes();
  await startScriptedDevice({ url: broker.url });
  const operator = await makeOperator(broker.url, 'broker');
  const args = ['--broker', broker.url, '--tenant', 'acme', '--trust', 'broker'];
  const ended = await operator.run(['send', 'press-7', 'ping', ...args], {
    env: { LOCKKEEPER_PROFILE: undefined, XDG_CONFIG_HOME: operator.dir },
  });
  expect(ended.code).toBe(0);
});

test.each([
  ['an unknown verb', ['send', 'press-7', 'dance']],
  ['a bad device id', ['send', 'Press_7', 'ping']],
  ['start without an endpoint', ['send', 'press-7', 'start']],
  ['an endpoint where none belongs', ['send', 'press-7', 'ping', 'web']],
  ['a lease that is no duration', ['send', 'press-7', 'start', 'web', '--lease', 'soon']],
  ['a lease below a minute', ['send', 'press-7', 'start', 'web', '--lease', '5s']],
  ['rekey without a token', ['send', 'press-7', 'rekey']],
  ['a token in the arguments', ['send', 'press-7', 'rekey', '--token', 'x']],
  ['an unknown option', ['send', 'press-7', 'ping', '--fast']],
  ['cancel without an id', ['send', 'press-7', 'cancel', 'web']],
  ['a profile that is not there', ['send', 'press-7', 'ping', '--profile', '/nonexistent/profile.json']],
])('ends with 64 for %s', async (_what, args) => {
  const operator = await makeOperator('mqtt://127.0.0.1:1', 'broker');
  const ended = await operator.run(args);
  expect(ended.code).toBe(64);
  expect(ended.stdout).toBe('');
  expect(ended.stderr).not.toBe('');
});

test('refuses a profile that others may read', async () => {
  const operator = await makeOperator('mqtt://127.0.0.1:1', 'broker');
  const open = join(operator.dir, 'open.json');
  await writeFile(open, '{}', { mode: 0o644 });
  const ended = await operator.run(['send', 'press-7', 'ping', '--profile', open]);
  expect(ended.code).toBe(64);
  expect(ended.stderr).toContain('chmod 600');
});

const rekeyWorld = async (more: Partial<Parameters<typeof startScriptedDevice>[0]> = {}) => {
  const world = await signedWorld(more);
  const tokenFile = join(world.operator.dir, 'token');
  await writeFile(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
  const keyFile = join(world.operator.dir, 'press-7.key.json');
  const { kid, x } = world.device.key;
  await writeFile(keyFile, JSON.stringify({ id: 'press-7', kid, x }));
  return { ...world, tokenFile, keyFile };
};

test('seals a token to the pinned key; the token shows nowhere', async () => {
  const { operator, device, broker, tokenFile, keyFile } = await rekeyWorld();
  const ear = await mqttPeer(broker.url, { subscribe: '#' });
  expect(await operator.run(['device', 'pin', 'press-7', '--device-key', keyFile])).toMatchObject({
    code: 0,
  });
  const ended = await operator.run(['send', 'press-7', 'rekey', '--token-file', tokenFile]);
  expect(ended).toMatchObject({ code: 0 });
  expect(device.tokens).toEqual([TOKEN]);
  expect(device.commands).toMatchObject([{ op: 'rekey', args: { gen: 2 } }]);
  expect(ended.stdout + ended.stderr + JSON.stringify(ear.messages)).not.toContain(TOKEN);
  await operator.run(['send', 'press-7', 'rekey', '--token-file', tokenFile]);
  expect(device.commands.at(-1)).toMatchObject({ args: { gen: 3 } });
});

test('sends no token when no key is pinned, and says how to pin', async () => {
  const { operator, device, tokenFile } = await rekeyWorld();
  const ended = await operator.run(['send', 'press-7', 'rekey', '--token-file', tokenFile]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/PIN_MISSING.*device pin press-7/);
  expect(device.commands).toEqual([]);
});

test('sends no token when the device shows another key than the pinned one', async () => {
  const { operator, device, tokenFile, keyFile } = await rekeyWorld({ shownKey: await makeDeviceKey() });
  await operator.run(['device', 'pin', 'press-7', '--device-key', keyFile]);
  const ended = await operator.run(['send', 'press-7', 'rekey', '--token-file', tokenFile]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('PIN_MISMATCH');
  expect(device.commands).toEqual([]);
});

test('pins on first use only in broker mode and only when told to', async () => {
  const broker = await startAedes();
  const operator = await makeOperator(broker.url, 'broker');
  const device = await startScriptedDevice({ url: broker.url });
  const tokenFile = join(operator.dir, 'token');
  await writeFile(tokenFile, TOKEN, { mode: 0o600 });
  const rekey = ['send', 'press-7', 'rekey', '--token-file', tokenFile];
  expect((await operator.run(rekey)).code).toBe(1);
  const ended = await operator.run([...rekey, '--trust', 'broker', '--trust-on-first-use']);
  expect(ended.code).toBe(0);
  expect(ended.stderr).toContain('pinned');
  expect(device.tokens).toEqual([TOKEN]);
});
