import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createNgrokApi, type NgrokApi } from '../../src/fleet/api/index.ts';
import { openAuditLog } from '../../src/fleet/audit-log.ts';
import { heldBy } from '../../src/fleet/credential-tag.ts';
import { peekBundle, unsealBundle } from '../../src/fleet/enroll/bundle.ts';
import { type EnrollOptions, type EnrollPorts, enrollDevice } from '../../src/fleet/enroll/enroll.ts';
import { openMintNote } from '../../src/fleet/enroll/mint-note.ts';
import { makeDeviceKey } from '../../src/protocol/device-key.ts';
import { startDevice } from '../support/device.ts';
import { auditOf, TENANT } from '../support/fleet-world.ts';
import { makeOperator, type Operator } from '../support/operator.ts';
import { startSandboxWorld } from '../support/sandbox-world.ts';
import { runNode } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';

const UNLIMITED = { limit: 1_000_000, windowMs: 60_000 };

const apiOf = (line: { readonly url: string; readonly key: string }): NgrokApi => {
  const api = createNgrokApi({ ...line, rate: null });
  if (!api.ok) throw new Error(api.fault.message);
  return api.value;
};

const heldOf = async (api: NgrokApi) => {
  const listed = await api.credentials.list();
  if (!listed.ok) throw new Error(listed.fault.message);
  return heldBy(TENANT, listed.value);
};

interface Box {
  readonly dir: string;
  readonly stateDir: string;
  readonly keyFile: string;
  readonly template: string;
  readonly configDir: string;
}

const ENDPOINTS = [
  { name: 'web', proto: 'http', upstream: 'hmi', url: 'https://press-7.edge.test' },
  { name: 'plc', proto: 'tcp', upstream: 'plc', url: 'tcp://plc.site-a.internal:502' },
];

/** A box with a key of its own, and a template for it on the operator's side. */
const makeBox = async (more: object = {}): Promise<Box> => {
  const dir = await tempDir('lockkeeper-box-');
  const stateDir = join(dir, 'state');
  const template = join(dir, 'template.json');
  await writeFile(
    template,
    JSON.stringify({
      stateDir,
      socket: join(dir, 'd.sock'),
      upstreams: { hmi: { url: 'http://127.0.0.1:8080' }, plc: { url: 'tcp://127.0.0.1:502' } },
      endpoints: ENDPOINTS,
      ...more,
    }),
  );
  const first = join(dir, 'first.json');
  await writeFile(
    first,
    JSON.stringify({
      device: { id: 'press-7', tenant: TENANT },
      stateDir,
      mqtt: { url: 'mqtt://127.0.0.1:1' },
      trust: { mode: 'broker' },
    }),
  );
  const { code, stdout, stderr } = await runNode('src/lockkeeperd.ts', ['--init', '--config', first]);
  if (code !== 0) throw new Error(stderr);
  const keyFile = join(dir, 'device-key.json');
  await writeFile(keyFile, stdout);
  return { dir, stateDir, keyFile, template, configDir: join(dir, 'etc') };
};

const world = async (): Promise<{ operator: Operator; api: NgrokApi; bundle: string }> => {
  const { sandbox } = await startSandboxWorld({ rate: UNLIMITED });
  const operator = await makeOperator(sandbox.line.broker.url, 'signed', sandbox.line.api);
  return { operator, api: apiOf(sandbox.line.api), bundle: join(operator.dir, 'press-7.bundle') };
};

test('a token sealed to the device is installed on the box, and nowhere else can it be read', async () => {
  const { operator, api, bundle } = await world();
  const box = await makeBox();
  const password = join(operator.dir, 'mqtt-password');
  await writeFile(password, 'the broker password\n', { mode: 0o600 });
  const args = [
    ...['enroll', 'press-7', '--config', box.template, '--device-key', box.keyFile, '--out', bundle],
    ...['--mqtt-password-file', password],
  ];
  const { code, body } = await operator.json(args);
  expect(body).toMatchObject({
    device: 'press-7',
    gen: 1,
    bundle: 'made',
    acl: ['bind:plc.site-a.internal', 'bind:press-7.edge.test'],
  });
  expect(code).toBe(0);
  expect((await stat(bundle)).mode & 0o777).toBe(0o600);
  const [held, ...others] = await heldOf(api);
  expect(others).toEqual([]);
  expect(held).toMatchObject({
    id: body['credential'],
    acl: body['acl'],
    tag: { gen: 1, device: 'press-7' },
  });
  const users = await api.serviceUsers.list();
  expect(users).toMatchObject({ ok: true, value: [{ name: 'press-7', id: held?.ownerId }] });
  expect(await readFile(bundle, 'utf8')).not.toContain('broker password');

  // A second time nothing is made.
  const again = await operator.json(args);
  expect([again.code, again.body['bundle'], (await heldOf(api)).length]).toEqual([0, 'kept', 1]);
  // And a changed ACL is brought to ngrok without a new token.
  await operator.json([...args, '--acl', 'bind:*.edge.test', '--acl', 'bind:plc.site-a.internal']);
  expect((await heldOf(api)).map(({ id, acl }) => [id, acl])).toEqual([
    [held?.id, ['bind:*.edge.test', 'bind:plc.site-a.internal']],
  ]);

  const install = (dir = box.configDir) =>
    runNode('src/lockkeeper.ts', ['install', bundle, '--dir', dir, '--json']);
  const installed = await install();
  expect(installed.stderr).toBe('');
  expect(installed.code).toBe(0);
  const token = (await readFile(join(box.configDir, 'authtoken'), 'utf8')).trim();
  expect((await stat(join(box.configDir, 'authtoken'))).mode & 0o777).toBe(0o600);
  expect((await stat(join(box.configDir, 'mqtt-password'))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(box.configDir, 'mqtt-password'), 'utf8')).toBe('the broker password\n');
  expect(await readFile(join(box.configDir, 'keys.json'), 'utf8')).toBe(await operator.keysText());
  expect(installed.stdout + installed.stderr).not.toContain(token);
  const config = join(box.configDir, 'config.json');
  const checked = await runNode('src/lockkeeperd.ts', ['--check', '--config', config]);
  expect(checked.code).toBe(0);
  expect(JSON.parse(await readFile(config, 'utf8'))).toMatchObject({
    device: { id: 'press-7', tenant: TENANT },
    mqtt: { username: 'press-7', passwordFile: 'mqtt-password' },
  });
  const second = JSON.parse((await install()).stdout) as { files: { state: string }[] };
  expect(second.files.every(({ state }) => state === 'unchanged')).toBe(true);

  // Another box cannot open it.
  const other = await makeBox();
  const foreign = await runNode('src/lockkeeper.ts', [
    ...['install', bundle, '--dir', other.configDir, '--state-dir', other.stateDir],
  ]);
  expect([foreign.code, foreign.stderr.includes('UNSEAL_FAILED')]).toEqual([1, true]);
  const audit = await auditOf(operator.dir);
  expect(audit.map(({ what }) => what)).toEqual(['user.create', 'mint', 'bundle', 'credential.update']);
  expect(JSON.stringify(audit)).not.toContain(token);
});

test('without a key a passphrase locks the bundle, and the device is confirmed by its fingerprint before anything is sealed', async () => {
  const device = await startDevice({ start: false, sandbox: { rate: UNLIMITED } });
  const { line } = device.sandbox;
  const operator = await makeOperator(line.broker.url, 'broker', line.api);
  const api = apiOf(line.api);
  const bundle = join(operator.dir, 'bundle');
  const passphrase = join(operator.dir, 'passphrase');
  await writeFile(passphrase, 'short\n', { mode: 0o600 });
  const template = join(operator.dir, 'template.json');
  await writeFile(
    template,
    JSON.stringify({
      stateDir: device.stateDir,
      socket: join(device.dir, 'd.sock'),
      ngrok: { serverAddr: line.edge.addr, caFile: line.caFile },
      upstreams: { hmi: { url: `http://127.0.0.1:${device.upstreamPort}` } },
      endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: 'https://device-1.edge.test' }],
    }),
  );
  const args = ['enroll', 'device-1', '--config', template, '--passphrase-file', passphrase, '--out', bundle];
  expect((await operator.run(args)).code).toBe(64);
  await writeFile(passphrase, 'a passphrase that is long\n');
  const made = await operator.run(args);
  expect(made.stderr).toBe('');
  expect(made.code).toBe(0);
  expect(await readFile(bundle, 'latin1')).toMatch(/^age-encryption\.org\/v1\n-> scrypt/);
  expect((await operator.json(args)).body['bundle']).toBe('kept');

  const wrong = join(operator.dir, 'wrong');
  await writeFile(wrong, 'another passphrase, long\n', { mode: 0o600 });
  const configDir = join(device.dir, 'etc');
  const refused = await runNode('src/lockkeeper.ts', [
    'install',
    bundle,
    '--dir',
    configDir,
    '--passphrase-file',
    wrong,
  ]);
  expect([refused.code, refused.stderr.includes('UNSEAL_FAILED')]).toEqual([1, true]);
  const installed = await runNode('src/lockkeeper.ts', [
    ...['install', bundle, '--dir', configDir, '--passphrase-file', passphrase],
  ]);
  expect(installed.code).toBe(0);

  // The real daemon starts from what was installed.
  const config = JSON.parse(await readFile(join(configDir, 'config.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  await writeFile(
    device.configFile,
    JSON.stringify({
      ...config,
      ngrok: { ...(config['ngrok'] as object), authtokenFile: join(configDir, 'authtoken') },
    }),
  );
  device.spawn();
  await device.until(({ link }) => link.state === 'connected', 'the daemon has its link');
  const started = await operator.run(['send', 'device-1', 'start', 'web']);
  expect(started.code).toBe(0);
  expect((await device.visit()).status).toBe(200);

  // Nothing is sealed to a key that nobody confirmed.
  const early = await operator.json(['rotate', 'device-1']);
  expect(early.code).toBe(1);
  expect(early.body).toMatchObject({ devices: [{ fault: { code: 'PIN_MISSING' } }] });
  const status = await runNode('src/lockkeeper.ts', [
    'status',
    '--json',
    '--socket',
    join(device.dir, 'd.sock'),
  ]);
  const { fingerprint } = (JSON.parse(status.stdout) as { key: { fingerprint: string } }).key;
  const mistaken = await operator.run([
    'enroll',
    'device-1',
    '--confirm',
    fingerprint.replace(/^./, (c) => (c === '0' ? '1' : '0')),
  ]);
  expect([mistaken.code, mistaken.stderr.includes('PIN_MISMATCH')]).toEqual([1, true]);
  expect((await operator.run(['enroll', 'device-1', '--confirm', fingerprint])).code).toBe(0);
  const other = await makeOperator(line.broker.url, 'broker', line.api);
  const before = (await heldOf(api)).map(({ id }) => id);
  const load = device.load(4);
  const rotated = await other.json(['rotate', 'device-1']);
  const seen = await load.stop();
  expect(rotated.body).toMatchObject({ done: 1, proved: true });
  expect(rotated.code).toBe(0);
  expect(seen.bad).toEqual([]);
  const after = await heldOf(api);
  expect(after).toHaveLength(1);
  expect(before).not.toContain(after[0]?.id);
  await device.until(({ credential }) => credential.generation === 2, 'generation 2');
  expect(device.sandbox.state().sessions).toHaveLength(1);
});

test('an ACL that would be empty, or not cover the endpoints, is refused before anything is made', async () => {
  const { operator, api, bundle } = await world();
  const box = await makeBox();
  const enroll = (...more: string[]) =>
    operator.run(['enroll', 'press-7', '--device-key', box.keyFile, '--out', bundle, ...more]);
  expect((await enroll()).stderr).toContain('The ACL would be empty');
  expect((await enroll('--config', box.template, '--acl', 'bind:other.edge.test')).stderr).toContain(
    'does not cover the endpoint web',
  );
  const random = await makeBox({ endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: '' }] });
  const open = await operator.run([
    ...['enroll', 'press-7', '--device-key', random.keyFile, '--out', bundle, '--config', random.template],
    ...['--acl', 'bind:a.edge.test'],
  ]);
  expect(open.stderr).toContain('has no url');
  const foreign = await enroll('--config', box.template, '--site', 'nowhere');
  expect([foreign.code, foreign.stderr.includes('no site nowhere')]).toEqual([64, true]);
  expect(await heldOf(api)).toEqual([]);
  expect(await api.serviceUsers.list()).toEqual({ ok: true, value: [] });
});

test('a bundle that cannot be written leaves no credential; one that exists already is not made again', async () => {
  const { operator, api } = await world();
  const box = await makeBox();
  const args = ['enroll', 'press-7', '--config', box.template, '--device-key', box.keyFile];
  const lost = await operator.run([...args, '--out', join(operator.dir, 'no', 'such', 'folder', 'b')]);
  expect([lost.code, lost.stderr.includes('STORE_FAILED')]).toEqual([1, true]);
  expect(await heldOf(api)).toEqual([]);
  const first = join(operator.dir, 'first');
  expect((await operator.run([...args, '--out', first])).code).toBe(0);
  const elsewhere = await operator.run([...args, '--out', join(operator.dir, 'second')]);
  expect([elsewhere.code, elsewhere.stderr.includes('--replace')]).toEqual([1, true]);
  const [old] = await heldOf(api);
  const replaced = await operator.json([...args, '--out', first, '--replace']);
  expect(replaced.body).toMatchObject({ bundle: 'made', gen: 2, deleted: [old?.id] });
  expect((await heldOf(api)).map(({ id }) => id)).toEqual([replaced.body['credential']]);
});

class Killed extends Error {}

test('killed before or after any of its steps, it ends with one credential, and its token is in the bundle', async () => {
  const { sandbox } = await startSandboxWorld({ rate: UNLIMITED });
  const key = await makeDeviceKey();
  const dir = await tempDir('lockkeeper-enroll-');
  const audit = await openAuditLog(join(dir, 'audit.jsonl'), systemClock, 'run');
  if (!audit.ok) throw new Error(audit.fault.message);
  let steps = 0;
  let killAt = Number.POSITIVE_INFINITY;
  let isAfter = false;
  const mortal = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (of, name) => {
        const value: unknown = Reflect.get(of, name);
        if (typeof value !== 'function')
          return typeof value === 'object' && value !== null ? mortal(value) : value;
        return async (...args: unknown[]) => {
          steps += 1;
          const isLast = steps === killAt;
          if (isLast && !isAfter) throw new Killed();
          const result: unknown = await (value as (...a: unknown[]) => Promise<unknown>).apply(of, args);
          if (isLast) throw new Killed();
          return result;
        };
      },
    });
  const api = apiOf(sandbox.line.api);
  const ports = (): EnrollPorts => ({
    api: mortal(api),
    audit: mortal(audit.value),
    clock: systemClock,
    note: mortal(openMintNote(join(dir, 'devices'))),
  });
  const options = (
    device: string,
    protection: EnrollOptions['protection'],
    isReplacing: boolean,
  ): EnrollOptions => ({
    tenant: TENANT,
    device,
    ownerName: device,
    acl: [`bind:${device}.edge.test`],
    config: {},
    keys: '',
    files: {},
    mqttPassword: '',
    protection,
    out: join(dir, `${device}.bundle`),
    isReplacing,
  });
  const protections: readonly EnrollOptions['protection'][] = [
    { kind: 'sealed', key },
    { kind: 'locked', passphrase: 'a passphrase that is long', scryptLogN: 4 },
  ];
  let kills = 0;
  for (const [way, protection] of protections.entries()) {
    for (const isReplacing of [false, true]) {
      for (isAfter of [false, true]) {
        for (let at = 1; ; at += 1) {
          const device = `d${way}-${isReplacing ? 'r' : 'n'}-${isAfter ? 'a' : 'b'}-${at}`;
          const wanted = options(device, protection, isReplacing);
          killAt = Number.POSITIVE_INFINITY;
          if (isReplacing) {
            const first = await enrollDevice(ports(), { ...wanted, isReplacing: false });
            if (!first.ok) throw new Error(first.fault.message);
          }
          steps = 0;
          killAt = at;
          const isKilled = await enrollDevice(ports(), wanted).then(
            () => false,
            (error: unknown) => {
              if (!(error instanceof Killed)) throw error;
              return true;
            },
          );
          killAt = Number.POSITIVE_INFINITY;
          if (!isKilled) break;
          kills += 1;
          const end = await enrollDevice(ports(), wanted);
          if (!end.ok) throw new Error(`${device}: ${end.fault.message}`);
          const held = (await heldOf(api)).filter(({ tag }) => tag.device === device);
          expect(held.map(({ id }) => id)).toEqual([end.value.credential]);
          const bytes = await readFile(wanted.out);
          if (protection.kind === 'sealed') {
            expect(peekBundle(bytes)).toMatchObject({ value: { credential: end.value.credential } });
            const opened = await unsealBundle(bytes, [key]);
            if (!opened.ok) throw new Error(opened.fault.message);
            expect(sandbox.accounts.authenticate(opened.value.secrets.token)).toMatchObject({
              id: end.value.credential,
            });
          }
        }
      }
    }
  }
  expect(kills).toBeGreaterThan(60);
});

test('a configuration that is mounted as a single file is named at once, and nothing is written', async () => {
  const { operator, bundle } = await world();
  const box = await makeBox();
  const { code } = await operator.run([
    ...['enroll', 'press-7', '--config', box.template, '--device-key', box.keyFile, '--out', bundle],
  ]);
  expect(code).toBe(0);
  await mkdir(box.configDir, { recursive: true });
  const config = join(box.configDir, 'config.json');
  await writeFile(config, '{}');
  await chmod(config, 0o640);
  // In a mount namespace of its own, so that nothing stays mounted here.
  const script = `mount --bind "$1" "$1" && exec "$2" src/lockkeeper.ts install "$3" --dir "$4"`;
  const run = spawnSync(
    'unshare',
    ['--mount', '--map-root-user', 'sh', '-c', script, 'sh', config, process.execPath, bundle, box.configDir],
    { encoding: 'utf8' },
  );
  expect(run.stderr).toContain(config);
  expect(run.stderr).toContain('mounted');
  expect(run.status).toBe(1);
  expect(await readFile(config, 'utf8')).toBe('{}');
  await expect(stat(join(box.configDir, 'authtoken'))).rejects.toThrow();
});
