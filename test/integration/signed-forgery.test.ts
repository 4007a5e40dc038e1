import { expect, test } from 'vitest';
import { toBase64url } from '../../src/protocol/base64url.ts';
import { importSigner, makeSigningKey } from '../../src/protocol/signing-key.ts';
import { bodyOf, DEVICE_ID, type SignedWorld, sign, startSignedDevice } from '../support/signed-world.ts';
import { waitFor } from '../support/wait-for.ts';

const START = { args: { ep: 'web', lease_s: 600 } };

/** Everything published before it has been judged once this is answered: the device takes one message at a time. */
const barrier = async ({ device, signer }: SignedWorld): Promise<void> => {
  const body = bodyOf('ping');
  await device.cloud.publish(device.cloud.topic('cmd/ping'), await sign(body, signer));
  expect(await device.cloud.result(body.id)).toMatchObject({ status: 'succeeded' });
};

const counters = async (world: SignedWorld): Promise<Readonly<Record<string, number>>> => {
  const { device, signer } = world;
  const body = bodyOf('report');
  await device.cloud.publish(device.cloud.topic('cmd/report'), await sign(body, signer));
  await device.cloud.result(body.id);
  return (device.cloud.health()?.['sec'] ?? {}) as Readonly<Record<string, number>>;
};

const altered = (jws: string, part: 0 | 1 | 2): string => {
  const parts = jws.split('.');
  const text = parts[part] ?? '';
  const at = Math.floor(text.length / 2);
  parts[part] = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
  return parts.join('.');
};

/** A JWS whose header is `header`, signed over exactly that. */
const withHeader = async (header: object, body: object, world: SignedWorld): Promise<string> => {
  const good = await sign(body, world.signer);
  return [toBase64url(Buffer.from(JSON.stringify(header))), ...good.split('.').slice(1)].join('.');
};

test('what nobody in the key set signed is counted, told once, answered never, and opens nothing', async () => {
  const world = await startSignedDevice();
  const { device, signer } = world;
  const { cloud } = device;
  const stranger = await importSigner(await makeSigningKey('ops-1'));
  const unknown = await importSigner(await makeSigningKey('ops-9'));
  const start = () => bodyOf('start', START);
  const header = { alg: 'EdDSA', kid: 'ops-1', typ: 'lk1-cmd' };
  const forged: readonly (readonly [string, { readonly id: string }, (body: object) => Promise<string>])[] = [
    ['no signature', start(), async (b) => JSON.stringify(b)],
    ['an altered body', start(), async (b) => altered(await sign(b, signer), 1)],
    ['an altered signature', start(), async (b) => altered(await sign(b, signer), 2)],
    ["a stranger's key under a known name", start(), (b) => sign(b, stranger)],
    ['an unknown key', start(), (b) => sign(b, unknown)],
    ['no algorithm', start(), (b) => withHeader({ ...header, alg: 'none' }, b, world)],
    [
      'no algorithm and no signature',
      start(),
      async (b) => {
        const [, body] = (await sign(b, signer)).split('.');
        return `${toBase64url(Buffer.from(JSON.stringify({ ...header, alg: 'none' })))}.${body}.`;
      },
    ],
    ['a symmetric algorithm', start(), (b) => withHeader({ ...header, alg: 'HS256' }, b, world)],
    ['a key of its own', start(), (b) => withHeader({ ...header, jwk: { kty: 'OKP' } }, b, world)],
    ['a huge header', start(), (b) => withHeader({ ...header, x: 'x'.repeat(20_000) }, b, world)],
    ['a signature for a document', start(), (b) => sign(b, signer, 'lk1-desired')],
  ];
  for (const [, body, make] of forged) await cloud.publish(cloud.topic('cmd/start'), await make(body));
  await barrier(world);
  for (const [what, { id }] of forged) expect(cloud.results(id), what).toEqual([]);
  expect(await counters(world)).toMatchObject({ bad_sig: forged.length });
  expect((await device.visit()).status).toBe(404);
  expect(cloud.events().filter((e) => e.type === 'security.alert')).toHaveLength(1);
  expect(device.log()).toContain('messages dropped');
});

test('what was signed for another device, topic or time is not done, and its sender is told where that is right', async () => {
  const world = await startSignedDevice();
  const { device, signer } = world;
  const { cloud } = device;
  const now = Math.floor(Date.now() / 1000);
  const publish = async (op: string, body: object | string): Promise<void> =>
    cloud.publish(cloud.topic(`cmd/${op}`), await sign(body, signer));

  const other = bodyOf('start', { ...START, to: 'd:device-2' });
  const elsewhere = bodyOf('start', START);
  await publish('start', other);
  await publish('ping', elsewhere);

  const expired = bodyOf('start', { ...START, iat: now - 400, exp: now - 300 });
  const future = bodyOf('start', { ...START, iat: now + 400, exp: now + 460 });
  const first = bodyOf('ping');
  const twice = bodyOf('start', { ...START, seq: first.seq });
  const doubled = bodyOf('start', START);
  for (const [op, body] of [
    ['start', expired],
    ['start', future],
    ['ping', first],
    ['start', twice],
  ] as const)
    await publish(op, body);
  await publish('start', JSON.stringify(doubled).replace('"args":', '"args":{"ep":"other"},"args":'));
  await barrier(world);

  expect(cloud.results(other.id)).toEqual([]);
  expect(cloud.results(elsewhere.id)).toEqual([]);
  expect(await cloud.result(expired.id)).toMatchObject({ status: 'expired', code: 'EXPIRED' });
  expect(await cloud.result(future.id)).toMatchObject({ status: 'rejected', code: 'NOT_YET_VALID' });
  expect((await cloud.result(future.id)).retry_s).toBeGreaterThan(200);
  expect(await cloud.result(twice.id)).toMatchObject({ status: 'rejected', code: 'REPLAY' });
  expect(await cloud.result(doubled.id)).toMatchObject({ status: 'rejected', code: 'BAD_ARGS' });
  expect(await counters(world)).toMatchObject({ replay: 3, bad_json: 1 });
  expect((await device.visit()).status).toBe(404);
});

test('a command that was recorded opens nothing a second time, also after a kill', async () => {
  const { device, signer } = await startSignedDevice();
  const { cloud } = device;
  const body = bodyOf('start', START);
  const recorded = await sign(body, signer);
  await cloud.publish(cloud.topic('cmd/start'), recorded);
  expect(await cloud.result(body.id)).toMatchObject({ status: 'succeeded' });
  const stop = bodyOf('stop', { args: { ep: 'web' } });
  await cloud.publish(cloud.topic('cmd/stop'), await sign(stop, signer));
  expect(await cloud.result(stop.id)).toMatchObject({ status: 'succeeded' });

  for (const round of [1, 2]) {
    const before = cloud.results(body.id).length;
    await cloud.publish(cloud.topic('cmd/start'), recorded);
    await waitFor(() => cloud.results(body.id).length > before, { what: `answer ${round} to the replay` });
    expect(cloud.results(body.id).at(-1)).toMatchObject({ status: 'succeeded' });
    expect((await device.visit()).status).toBe(404);
    if (round === 1) {
      await device.kill('SIGKILL');
      await device.start();
    }
  }
});

test('stored and oversized messages are dropped unread, and a ping still gets through', async () => {
  const world = await startSignedDevice({ start: false });
  const { device, signer } = world;
  const { cloud } = device;
  const stored = bodyOf('start', START);
  await cloud.publish(cloud.topic('cmd/start'), await sign(stored, signer), true);
  await device.start();
  const big = bodyOf('start', { ...START, more: 'x'.repeat(70_000) });
  await cloud.publish(cloud.topic('cmd/start'), await sign(big, signer));
  await barrier(world);
  expect(cloud.results(stored.id)).toEqual([]);
  expect(cloud.results(big.id)).toEqual([]);
  expect((await device.visit()).status).toBe(404);
  expect(await counters(world)).toMatchObject({ retained: 1 });
});

test('a document is taken from the fleet only, for this device only, and never backwards', async () => {
  const world = await startSignedDevice();
  const { device, signer } = world;
  const { cloud } = device;
  const document = (rev: number, more: object = {}) => ({
    v: 1,
    dev: DEVICE_ID,
    rev,
    iat: Math.floor(Date.now() / 1000),
    endpoints: [{ name: 'web', on: true, proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test' }],
    ...more,
  });
  const put = async (text: string): Promise<void> => cloud.publish(cloud.topic('desired'), text, true);
  const stranger = await importSigner(await makeSigningKey('ops-1'));
  await put(JSON.stringify(document(5)));
  await put(await sign(document(5), stranger, 'lk1-desired'));
  await put(await sign(document(5, { dev: 'device-2' }), signer, 'lk1-desired'));
  await put(await sign(document(5), signer, 'lk1-cmd'));
  await barrier(world);
  expect((await device.status()).desired).toMatchObject({ rev: 0 });
  expect((await device.visit()).status).toBe(404);

  await put(await sign(document(5), signer, 'lk1-desired'));
  await device.until((s) => s.desired.applied === 5, 'the document is applied');
  expect((await device.visit()).status).toBe(200);
  // An older one that comes back, as from a backup of the broker, changes nothing: not now, not after a restart.
  await put(await sign(document(4, { endpoints: [] }), signer, 'lk1-desired'));
  await barrier(world);
  await device.kill('SIGKILL');
  await device.start();
  await barrier(world);
  expect((await device.status()).desired).toMatchObject({ rev: 5 });
  await waitFor(async () => (await device.visit()).status === 200, { what: 'service after the restart' });
});
