import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { auditOf, type FleetWorld, type FleetWorldOptions, startFleetWorld } from '../support/fleet-world.ts';
import { makeOperator, type Operator } from '../support/operator.ts';
import { tempDir } from '../support/temp-dir.ts';

interface Rotated {
  readonly rotation: string | null;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly unfinished: number;
  readonly skipped: number;
  readonly untouched: readonly string[];
  readonly stopped: string | null;
  readonly proved: boolean;
  readonly devices: readonly {
    readonly device: string;
    readonly state: string;
    readonly generation: number | null;
    readonly credentials: readonly string[];
    readonly fault: { readonly code: string; readonly message: string; readonly operationId?: string } | null;
  }[];
}

const world = async (
  options: FleetWorldOptions = {},
): Promise<
  FleetWorld & { operator: Operator; rotate: (...args: string[]) => Promise<[number | null, Rotated]> }
> => {
  const fleet = await startFleetWorld(options);
  onTestFinished(() => fleet.close());
  const { line } = fleet.sandbox;
  const operator = await makeOperator(line.broker.url, 'broker', line.api);
  return {
    ...fleet,
    operator,
    async rotate(...args) {
      const { code, body } = await operator.json(['rotate', ...args]);
      return [code, body as unknown as Rotated];
    },
  };
};

const keyFileOf = async (key: string): Promise<string> => {
  const path = join(await tempDir('lockkeeper-key-'), 'api-key');
  await writeFile(path, key, { mode: 0o600 });
  return path;
};

/** Does something again and again while the test runs. */
const every = (work: () => void): void => {
  const timer = setInterval(work, 1);
  onTestFinished(() => clearInterval(timer));
};

test('rotates a device, deletes the old credential, and writes down what was done', async () => {
  const { enroll, rotate, flaws, operator } = await world();
  const [device] = await enroll(2);
  const before = device?.credentialId ?? '';
  const [code, report] = await rotate('dev-0001');
  expect(report).toMatchObject({ total: 1, done: 1, proved: true, stopped: null });
  expect(code).toBe(0);
  expect(device).toMatchObject({ gen: 2, rekeys: 1 });
  expect(await flaws()).toEqual([]);
  const audit = await auditOf(operator.dir);
  expect(audit.map(({ what }) => what)).toEqual(['mint', 'deliver', 'proof', 'delete']);
  expect(audit.at(-1)).toMatchObject({ id: before, device: 'dev-0001' });
  expect((await stat(join(operator.dir, 'audit.jsonl'))).mode & 0o777).toBe(0o600);
  expect(JSON.stringify(audit)).not.toContain(device?.token ?? 'no token');
});

test('rotates a site, and leaves the others alone; then the fleet, in waves', async () => {
  const { enroll, rotate, flaws, operator, swarm } = await world();
  await enroll(3, { site: 'site-a', name: 'press' });
  await enroll(12, { site: 'site-b', name: 'mill' });
  const [code, report] = await rotate('site-a');
  expect([code, report.total, report.done]).toEqual([0, 3, 3]);
  expect(swarm.devices.get('mill-0001')?.gen).toBe(1);
  const { code: fleetCode, stdout } = await operator.run(['rotate', 'fleet']);
  expect(stdout).toContain('wave 1 of 3: 1 device(s)');
  expect(stdout).toContain('15 of 15 done, each with exactly one credential, proved');
  expect(fleetCode).toBe(0);
  expect([...swarm.devices.values()].map(({ gen }) => gen)).toEqual([
    ...Array.from({ length: 3 }, () => 3),
    ...Array.from({ length: 12 }, () => 2),
  ]);
  expect(await flaws()).toEqual([]);
});

test('a delete that fails leaves a device that is shown as not finished, and --resume ends it', async () => {
  const { enroll, rotate, flaw, operator, sandbox, swarm } = await world();
  const [device] = await enroll(1);
  if (device === undefined) throw new Error('no device');
  const old = device.credentialId;
  // From the moment that the device has the new token, five requests fail: the delete and its repetitions.
  const { gen } = device;
  let isFailing = false;
  every(() => {
    if (isFailing || device.gen === gen) return;
    isFailing = true;
    sandbox.api.faults.failing = 5;
  });
  const [code, report] = await rotate('dev-0001');
  sandbox.api.faults.failing = 0;
  expect(code).toBe(1);
  const [shown] = report.devices;
  expect(shown).toMatchObject({ state: 'unfinished', fault: { code: 'NOT_FINISHED' } });
  expect(shown?.credentials).toEqual([device.credentialId, old]);
  expect(shown?.fault?.operationId).toMatch(/^op_/);
  expect(await flaw(device)).toMatch(/2 credentials/);
  // The second time the work is done and its answer lost: the third request, after two lists, is the delete.
  const listed = sandbox.api.answered + 2;
  let isDropped = false;
  every(() => {
    if (isDropped || sandbox.api.answered < listed) return;
    isDropped = true;
    sandbox.api.faults.dropNext = 1;
  });
  const [again, resumed] = await rotate('dev-0001', '--resume');
  expect(resumed).toMatchObject({ done: 1, proved: true, rotation: report.rotation });
  expect(again).toBe(0);
  expect(isDropped).toBe(true);
  expect(await flaw(device)).toBeNull();
  expect(swarm.devices.get('dev-0001')?.rekeys).toBe(1);
  const audit = (await auditOf(operator.dir)).map(({ what }) => what);
  expect(audit).toEqual(['mint', 'deliver', 'proof', 'delete.failed', 'delete']);
});

test('a token that the device refuses is deleted again, and the device stays as it was', async () => {
  const { enroll, rotate, flaws } = await world();
  const [device] = await enroll(1);
  if (device === undefined) throw new Error('no device');
  device.ending = { code: 'NGROK_LIMIT' };
  const [code, report] = await rotate('dev-0001');
  expect([code, report.failed]).toEqual([1, 1]);
  expect(report.devices[0]?.fault?.code).toBe('NGROK_LIMIT');
  expect(device.gen).toBe(1);
  expect(await flaws()).toEqual([]);
});

test('devices that are off line or locked are skipped and can be resumed from another machine', async () => {
  const { enroll, rotate, flaws, swarm, sandbox } = await world();
  const [one, two, three] = await enroll(4);
  if (one === undefined || two === undefined || three === undefined) throw new Error('no devices');
  one.isOnline = false;
  await swarm.publish(one);
  two.isLocked = true;
  await swarm.publish(two);
  const [code, report] = await rotate('fleet');
  expect(report).toMatchObject({ total: 4, done: 2, skipped: 2 });
  expect(code).toBe(1);
  one.isOnline = true;
  two.isLocked = false;
  await swarm.publish(one);
  await swarm.publish(two);
  const other = await makeOperator(sandbox.line.broker.url, 'broker', sandbox.line.api);
  const resumed = await other.json(['rotate', 'fleet', '--resume']);
  expect(resumed.body).toMatchObject({ rotation: report.rotation, done: 4 });
  expect(resumed.code).toBe(0);
  expect([...swarm.devices.values()].map(({ gen }) => gen)).toEqual([2, 2, 2, 2]);
  expect([one.rekeys, three.rekeys]).toEqual([1, 1]);
  expect(await flaws()).toEqual([]);
});

test('a canary that fails stops the rotation before anybody else is touched', async () => {
  const { enroll, rotate, swarm } = await world();
  const [first] = await enroll(10);
  if (first === undefined) throw new Error('no device');
  first.ending = { code: 'NGROK_ACL_DENIED' };
  const [code, report] = await rotate('fleet');
  expect([code, report.stopped, report.failed, report.untouched.length]).toEqual([1, 'failures', 1, 9]);
  expect([...swarm.devices.values()].filter(({ gen }) => gen > 1)).toEqual([]);
});

test('too many failures stop it in a later wave; what is allowed does not', async () => {
  const { enroll, rotate, swarm } = await world();
  const devices = await enroll(20);
  for (const device of devices.slice(3, 6)) device.ending = { code: 'STORE_FAILED' };
  const [code, report] = await rotate(
    'fleet',
    '--waves',
    '1,50%,100%',
    '--max-failures',
    '2',
    '--concurrency',
    '1',
  );
  expect([code, report.stopped, report.failed, report.done]).toEqual([1, 'failures', 3, 3]);
  for (const device of devices) delete device.ending;
  const [again, resumed] = await rotate('fleet', '--resume');
  expect([again, resumed.done]).toEqual([0, 20]);
  expect([...swarm.devices.values()].every(({ gen }) => gen === 2)).toBe(true);
});

test('a device that never answers keeps both credentials until it is resumed, and none is deleted by guess', async () => {
  const { enroll, rotate, flaw } = await world();
  const [device] = await enroll(1);
  if (device === undefined) throw new Error('no device');
  device.ending = 'silent';
  const [code, report] = await rotate('dev-0001', '--timeout', '1s');
  expect([code, report.unfinished]).toEqual([1, 1]);
  expect(report.devices[0]?.credentials).toHaveLength(2);
  delete device.ending;
  const [again] = await rotate('dev-0001', '--resume');
  expect(again).toBe(0);
  expect(device.gen).toBe(3);
  expect(await flaw(device)).toBeNull();
});

test('a key that is not the pinned one gets no token, and an unrestricted credential is not copied', async () => {
  const { enroll, rotate, api, swarm } = await world();
  const [one, two] = await enroll(2);
  if (one === undefined || two === undefined) throw new Error('no devices');
  Object.assign(one, { key: two.key });
  await swarm.publish(one);
  const [code, report] = await rotate('dev-0001');
  expect([code, report.devices[0]?.fault?.code]).toEqual([1, 'PIN_MISMATCH']);
  expect(report.devices[0]?.credentials).toHaveLength(1);
  await api.credentials.update(two.credentialId, { acl: [] });
  const [refused, open] = await rotate('dev-0002');
  expect([refused, open.devices[0]?.fault?.code]).toEqual([1, 'BAD_ARGS']);
  const [forced] = await rotate('dev-0002', '--allow-unrestricted');
  expect(forced).toBe(0);
});

test('an unknown device or site, or an unusable option, is a usage error', async () => {
  const { rotate } = await world();
  expect((await rotate('nobody'))[0]).toBe(64);
  expect((await rotate('fleet', '--waves', '0'))[0]).toBe(64);
  expect((await rotate('group:x'))[0]).toBe(64);
});

test('a creation whose answer is lost leaves no credential behind', async () => {
  const { enroll, rotate, flaws, sandbox } = await world();
  await enroll(3);
  sandbox.api.faults.dropEvery = 4;
  const [code, report] = await rotate('fleet');
  expect(report).toMatchObject({ done: 3, proved: true });
  expect(code).toBe(0);
  sandbox.api.faults.dropEvery = 0;
  expect(await flaws()).toEqual([]);
});

test('signed devices take commands that are signed with a key of their set, and a dead proxy is in the way of nothing', async () => {
  // The devices need the operator's keys, the operator the devices' broker: it is named on the command line instead.
  const operator = await makeOperator('mqtt://127.0.0.1:1', 'signed');
  const fleet = await startFleetWorld({ keysFile: await operator.keysText() });
  onTestFinished(() => fleet.close());
  const [device] = await fleet.enroll(1);
  const { line } = fleet.sandbox;
  const dead = 'http://127.0.0.1:9';
  const { code, body } = await operator.json(
    [
      'rotate',
      'dev-0001',
      '--broker',
      line.broker.url,
      '--api-url',
      line.api.url,
      '--api-key-file',
      await keyFileOf(line.api.key),
    ],
    { env: { HTTP_PROXY: dead, HTTPS_PROXY: dead, ALL_PROXY: dead, NODE_USE_ENV_PROXY: '1' } },
  );
  expect(body).toMatchObject({ done: 1, proved: true });
  expect(code).toBe(0);
  expect(device?.gen).toBe(2);
  // A device of the same fleet does not take what is not signed.
  const unsigned = await operator.json([
    ...['rotate', 'dev-0001', '--trust', 'broker', '--timeout', '1s', '--broker', line.broker.url],
    ...['--api-url', line.api.url, '--api-key-file', await keyFileOf(line.api.key)],
  ]);
  expect([unsigned.code, device?.gen]).toEqual([1, 2]);
});

test('the API key comes from the environment too, never from the command line, and no output has it', async () => {
  const { enroll, operator, sandbox } = await world();
  await enroll(1);
  const profile = join(operator.dir, 'no-key.json');
  await writeFile(
    profile,
    JSON.stringify({
      tenant: 'acme',
      mqtt: { url: sandbox.line.broker.url },
      trust: 'broker',
      devicesDir: 'devices',
      auditFile: 'audit.jsonl',
      api: { url: sandbox.line.api.url },
    }),
    { mode: 0o600 },
  );
  const none = await operator.run(['rotate', 'dev-0001', '--profile', profile]);
  expect([none.code, none.stderr.includes('NGROK_API_KEY')]).toEqual([64, true]);
  const { code, stdout, stderr } = await operator.run(['rotate', 'dev-0001', '--profile', profile], {
    env: { NGROK_API_KEY: sandbox.line.api.key },
  });
  expect(code).toBe(0);
  expect(stdout + stderr).not.toContain(sandbox.line.api.key);
});
