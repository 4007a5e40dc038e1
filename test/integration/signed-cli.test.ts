import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { bodyOf, DEVICE_ID, startSignedDevice } from '../support/signed-world.ts';
import { waitFor } from '../support/wait-for.ts';

const SECOND = 'second-token-of-the-signed-device-0123456789';

test('the whole of a device by the command line alone: start, new token, stop, document, a message signed off line', async () => {
  const { device, operator } = await startSignedDevice();
  const send = (...args: readonly string[]) => operator.json(['send', DEVICE_ID, ...args]);

  expect(await send('start', 'web', '--lease', '15m')).toMatchObject({
    code: 0,
    body: { status: 'succeeded' },
  });
  expect((await device.visit()).status).toBe(200);

  await device.fault({ op: 'token', authtoken: SECOND });
  const tokenFile = join(operator.dir, 'token');
  await writeFile(tokenFile, `${SECOND}\n`, { mode: 0o600 });
  expect(await send('rekey', '--token-file', tokenFile)).toMatchObject({
    code: 0,
    body: { status: 'succeeded', out: { gen: 2, dropped: 0 } },
  });
  expect((await device.status()).session.generation).toBe(2);

  expect(await send('stop', 'web')).toMatchObject({ code: 0, body: { status: 'succeeded' } });
  expect((await device.visit()).status).toBe(404);
  expect(await send('start', 'nothing')).toMatchObject({
    code: 1,
    body: { status: 'rejected', code: 'UNKNOWN_EP' },
  });

  const documentFile = join(operator.dir, 'desired.json');
  const web = { name: 'web', on: true, proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test' };
  await writeFile(documentFile, JSON.stringify({ endpoints: [web] }));
  expect(await operator.json(['desired', 'set', DEVICE_ID, documentFile])).toMatchObject({ code: 0 });
  expect((await device.visit()).status).toBe(200);
  const { code, body } = await operator.json(['desired', 'get', DEVICE_ID]);
  expect(code).toBe(0);
  expect(JSON.stringify(body)).toContain('"rev":1');

  const ping = bodyOf('ping');
  const commandFile = join(operator.dir, 'ping.json');
  await writeFile(commandFile, JSON.stringify(ping));
  const signed = await operator.run(['sign', 'cmd', commandFile]);
  expect(signed).toMatchObject({ code: 0, stderr: '' });
  await device.cloud.publish(device.cloud.topic('cmd/ping'), signed.stdout.trim());
  expect(await device.cloud.result(ping.id)).toMatchObject({ status: 'succeeded' });
}, 240_000);

test('command keys change without a visit, and the old one opens nothing from then on, also after a restart', async () => {
  const { device, operator } = await startSignedDevice();
  const next = join(operator.dir, 'ops-2.json');
  const withNext = ['--kid', 'ops-2', '--key-file', next];
  expect((await operator.run(['keys', 'add', 'ops-2', '--key-file', next])).code).toBe(0);
  // Not before the device has the new set does it believe the new key.
  const early = await operator.run(['send', DEVICE_ID, 'ping', '--timeout', '2s', ...withNext]);
  expect(early.code).toBe(75);
  expect((await operator.run(['keys', 'publish', DEVICE_ID])).code).toBe(0);
  expect((await operator.run(['send', DEVICE_ID, 'ping', ...withNext])).code).toBe(0);

  expect((await operator.run(['keys', 'revoke', 'ops-1'])).code).toBe(0);
  expect((await operator.run(['keys', 'publish', DEVICE_ID, ...withNext])).code).toBe(0);
  const start = ['send', DEVICE_ID, 'start', 'web', '--timeout', '2s'];
  expect((await operator.run(start)).code).toBe(75);
  await device.kill('SIGKILL');
  await device.start();
  expect((await operator.run(start)).code).toBe(75);
  expect((await device.visit()).status).toBe(404);
  expect((await operator.run([...start.slice(0, 4), ...withNext])).code).toBe(0);
  expect((await device.visit()).status).toBe(200);
}, 240_000);

test("a device's key that is not the pinned one gets no token, until somebody at the device has read it out", async () => {
  const { device, operator } = await startSignedDevice();
  await device.kill('SIGTERM');
  for (const name of await readdir(device.stateDir))
    if (name.startsWith('device-key')) await rm(join(device.stateDir, name));
  await device.start();
  await device.fault({ op: 'token', authtoken: SECOND });
  const tokenFile = join(operator.dir, 'token');
  await writeFile(tokenFile, SECOND, { mode: 0o600 });
  const rekey = ['send', DEVICE_ID, 'rekey', '--token-file', tokenFile];
  const refused = await operator.run(rekey);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/key/);
  expect((await device.status()).credential.generation).toBe(1);

  const { key } = (await device.status()) as unknown as { readonly key: { readonly fingerprint: string } };
  const pin = ['device', 'pin', DEVICE_ID, '--hello', '--replace', '--fingerprint'];
  expect((await operator.run([...pin, '0000-0000-0000-0000'])).code).toBe(1);
  expect((await operator.run([...pin, key.fingerprint])).code).toBe(0);
  expect((await operator.run(rekey)).code).toBe(0);
  expect((await device.status()).credential.generation).toBe(2);
}, 240_000);

test('the device takes a new key without a visit, proves it with the old one, and tokens go to it from then on', async () => {
  const { device, operator } = await startSignedDevice();
  const renew = () => operator.json(['device', 'renew-key', DEVICE_ID]);
  const pinned = async (): Promise<string> =>
    JSON.stringify((await operator.json(['device', 'show', DEVICE_ID])).body);
  const [record] = (await readdir(join(operator.dir, 'devices'))).filter((name) =>
    name.startsWith(DEVICE_ID),
  );
  const recordFile = join(operator.dir, 'devices', record ?? '');
  const before = await readFile(recordFile, 'utf8');

  const first = await renew();
  expect(first).toMatchObject({ code: 0, body: { device: DEVICE_ID, kid: expect.any(String) } });
  const { x } = first.body as { readonly x: string };
  expect(before).not.toContain(x);
  expect(await pinned()).toContain(x);
  await waitFor(() => JSON.stringify(device.cloud.hello()?.['enc']).includes(x), {
    what: 'the new key in hello',
  });

  await device.fault({ op: 'token', authtoken: SECOND });
  const tokenFile = join(operator.dir, 'token');
  await writeFile(tokenFile, SECOND, { mode: 0o600 });
  const rekeyed = await operator.json(['send', DEVICE_ID, 'rekey', '--token-file', tokenFile]);
  expect(rekeyed).toMatchObject({ code: 0, body: { status: 'succeeded', out: { gen: 2 } } });

  // The answer was lost, and another operator still has the old pin: the device tells its key, and keeps it.
  await writeFile(recordFile, before);
  expect((await operator.json(['send', DEVICE_ID, 'rekey', '--token-file', tokenFile])).code).toBe(1);
  expect(await renew()).toMatchObject({ code: 0, body: { x } });
  await device.kill('SIGKILL');
  await device.start();
  expect(await pinned()).toContain(x);
  const second = await renew();
  expect(second.code).toBe(0);
  expect((second.body as { readonly x: string }).x).not.toBe(x);
}, 240_000);

test('whoever answers in the place of the device, and cannot open what is sealed to its key, gets no pin', async () => {
  const { device, operator } = await startSignedDevice({ start: false });
  const before = await operator.json(['device', 'show', DEVICE_ID]);
  const impostor = { kid: 'dev', x: Buffer.alloc(32, 7).toString('base64url'), proof: 'A'.repeat(43) };
  const client = await connectAsync(device.sandbox.line.broker.url, { protocolVersion: 4 });
  onTestFinished(() => client.endAsync(true));
  client.on('message', (_topic, payload) => {
    const [, content = ''] = payload.toString().split('.');
    const { id } = JSON.parse(Buffer.from(content, 'base64url').toString()) as { readonly id: string };
    const result = {
      v: 1,
      id,
      op: 'newkey',
      status: 'succeeded',
      n: 1,
      ts: 1,
      boot: '0'.repeat(16),
      out: impostor,
    };
    client.publish(device.cloud.topic(`res/${id}`), JSON.stringify(result), { qos: 1 });
  });
  await client.subscribeAsync(device.cloud.topic('cmd/newkey'), { qos: 1 });
  const { code, stderr } = await operator.run(['device', 'renew-key', DEVICE_ID]);
  expect(code).toBe(1);
  expect(stderr).toContain('PIN_MISMATCH');
  const after = await operator.json(['device', 'show', DEVICE_ID]);
  expect(before.body['pin']).toBeDefined();
  expect(after.body['pin']).toEqual(before.body['pin']);
});
