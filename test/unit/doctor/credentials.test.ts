import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkConfig } from '../../../src/config/main-check.ts';
import { lendServiceCredentials } from '../../../src/config/service-credentials.ts';
import { checkSecrets } from '../../../src/doctor/check-secrets.ts';
import { BENCH_CONFIG, loadGood } from '../../support/config-fixture.ts';
import { tempDir } from '../../support/temp-dir.ts';

const TOKEN = '2abcdefghijklmnopqrstuvwxyZ_4aBcDeFgHiJkLmNoPqRsT';
const CONFIG = { ...BENCH_CONFIG, ngrok: { authtokenFile: 'credential:authtoken' } };

test('from a shell, credentials of the service are out of sight, which is no error', async () => {
  const { config } = await loadGood({ config: CONFIG });
  const [authtoken] = await checkSecrets(config, {});
  expect(authtoken).toMatchObject({ check: 'authtoken', severity: 'skipped' });
  expect(authtoken?.message).toContain('as root');
});

test("whoever may read the service's folder of credentials looks into it", async () => {
  const folder = await tempDir('lockkeeper-credentials-');
  await writeFile(join(folder, 'authtoken'), TOKEN, { mode: 0o600 });
  const env: NodeJS.ProcessEnv = {};
  lendServiceCredentials(env, folder);
  const { config } = await loadGood({ config: CONFIG });
  const [authtoken] = await checkSecrets(config, env);
  expect(authtoken).toMatchObject({ severity: 'ok' });
  expect(JSON.stringify(authtoken)).not.toContain(TOKEN);
});

test("a folder that is not there is not lent, and the service's own stays", () => {
  const env: NodeJS.ProcessEnv = {};
  lendServiceCredentials(env, '/run/credentials/not-there.service');
  expect(env).toEqual({});
  const inside: NodeJS.ProcessEnv = { CREDENTIALS_DIRECTORY: '/run/credentials/own' };
  lendServiceCredentials(inside, '/');
  expect(inside).toEqual({ CREDENTIALS_DIRECTORY: '/run/credentials/own' });
});

test('a credential that the folder lacks is an error', async () => {
  const folder = await tempDir('lockkeeper-credentials-');
  const { config } = await loadGood({ config: CONFIG });
  const [authtoken] = await checkSecrets(config, { CREDENTIALS_DIRECTORY: folder });
  expect(authtoken).toMatchObject({ severity: 'error', code: 'FILE_UNREADABLE' });
});

test('the keys of device and vault are looked at too', async () => {
  const folder = await tempDir('lockkeeper-credentials-');
  const { config } = await loadGood({
    config: {
      ...CONFIG,
      vault: { keyFile: 'credential:vault' },
      device: { ...BENCH_CONFIG.device, keyFile: 'credential:device' },
    },
  });
  const findings = await checkSecrets(config, { CREDENTIALS_DIRECTORY: folder });
  expect(findings.map(({ check, severity }) => [check, severity])).toEqual([
    ['authtoken', 'error'],
    ['device key', 'error'],
    ['vault key', 'error'],
  ]);
});

test('--check passes a key set that is a credential, and says that it has not seen it', async () => {
  const dir = await tempDir('lockkeeper-check-');
  const file = join(dir, 'config.json');
  await writeFile(
    file,
    JSON.stringify({ ...BENCH_CONFIG, trust: { mode: 'signed', keysFile: 'credential:keys' } }),
  );
  const outside = await checkConfig(file, {});
  expect(outside.code).toBe(0);
  expect(outside.stderr).toContain('credential:keys exists only inside the service');
  const folder = join(dir, 'credentials');
  await mkdir(folder);
  await chmod(folder, 0o700);
  const inside = await checkConfig(file, { CREDENTIALS_DIRECTORY: folder });
  expect(inside.code).toBe(78);
});
