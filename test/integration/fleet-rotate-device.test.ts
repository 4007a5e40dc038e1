import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createNgrokApi } from '../../src/fleet/api/index.ts';
import { descriptionOf, formatTag, heldBy } from '../../src/fleet/credential-tag.ts';
import { newCommandId } from '../../src/protocol/ids.ts';
import { startDevice } from '../support/device.ts';
import { makeOperator } from '../support/operator.ts';
import { waitFor } from '../support/wait-for.ts';

const TENANT = 'sandbox';

/** The real daemon on a credential of the fleet's, pinned, and an operator's desk. */
const world = async () => {
  const device = await startDevice({
    start: false,
    sandbox: { rate: { limit: 1_000_000, windowMs: 60_000 } },
  });
  const { line } = device.sandbox;
  const api = createNgrokApi({ ...line.api, rate: null });
  if (!api.ok) throw new Error(api.fault.message);
  const made = await api.value.credentials.create({
    description: descriptionOf(TENANT, 'device-1'),
    metadata: formatTag({ tenant: TENANT, device: 'device-1', gen: 1, mint: newCommandId(systemClock) }),
    acl: ['bind:device-1.edge.test'],
  });
  if (!made.ok) throw new Error(made.fault.message);
  await writeFile(device.tokenFile, made.value.token ?? '', { mode: 0o600 });
  await device.start();
  const operator = await makeOperator(line.broker.url, 'broker', line.api);
  const run = (args: readonly string[]) => operator.json([...args, '--tenant', TENANT]);
  await waitFor(() => device.cloud.hello(), { what: 'hello' });
  const status = (await device.status()) as unknown as { readonly key: { readonly fingerprint: string } };
  const pinned = await run(['enroll', 'device-1', '--confirm', status.key.fingerprint]);
  expect(pinned.code).toBe(0);
  const held = async () => {
    const listed = await api.value.credentials.list();
    if (!listed.ok) throw new Error(listed.fault.message);
    return heldBy(TENANT, listed.value);
  };
  return { device, run, held, first: made.value.id };
};

test('a device whose endpoints are all closed proves the new token, too, and serves on it later', async () => {
  const { device, run, held, first } = await world();
  const rotated = await run(['rotate', 'device-1']);
  expect(rotated.body).toMatchObject({ done: 1, proved: true });
  expect(rotated.code).toBe(0);
  const [only, ...others] = await held();
  expect(others).toEqual([]);
  expect(only?.id).not.toBe(first);
  await device.until(({ credential }) => credential.generation === 2, 'generation 2');
  expect((await run(['send', 'device-1', 'start', 'web'])).code).toBe(0);
  expect((await device.visit()).status).toBe(200);
});

test('a device that is killed while it swaps ends on one credential after --resume', async () => {
  const { device, run, held } = await world();
  const started = await device.cloud.command('start', { args: { ep: 'web' } });
  expect(started.status).toBe('succeeded');
  const rotating = run(['rotate', 'device-1', '--timeout', '15s']);
  // As soon as the second credential is there, the power goes.
  const isMinted = async (): Promise<void> => {
    while ((await held()).length < 2);
  };
  await isMinted();
  await device.kill('SIGKILL');
  await device.start();
  await rotating;
  const resumed = await run(['rotate', 'device-1', '--resume']);
  expect(resumed.body).toMatchObject({ done: 1, proved: true });
  expect(resumed.code).toBe(0);
  expect(await held()).toHaveLength(1);
  await device.until(({ endpoints }) => endpoints.some(({ state }) => state === 'up'), 'web is up');
  expect((await device.visit()).status).toBe(200);
  const names = new Set(device.sandbox.state().sessions.map(({ authtokenName }) => authtokenName));
  expect(names.size).toBe(1);
});
