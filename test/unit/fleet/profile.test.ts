import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadProfile } from '../../../src/fleet/profile.ts';
import { tempDir } from '../../support/temp-dir.ts';

const write = async (text: string, mode = 0o600) => {
  const dir = await tempDir();
  const path = join(dir, 'profile.json');
  await writeFile(path, text);
  await chmod(path, mode);
  return { dir, path };
};

test('fills in defaults and takes paths from the folder of the profile', async () => {
  const { dir, path } = await write(
    '\uFEFF{"tenant":"acme","mqtt":{"url":"mqtts://b","caFile":"ca.pem"},"sign":{"kid":"k","keyFile":"/abs/k.json"}}\r\n',
  );
  expect(await loadProfile(path, {})).toMatchObject({
    ok: true,
    value: {
      tenant: 'acme',
      trust: 'signed',
      mqtt: { url: 'mqtts://b', caFile: join(dir, 'ca.pem'), certFile: '', protocol: 'auto' },
      sign: { kid: 'k', keyFile: '/abs/k.json' },
    },
  });
});

test('takes the named file, then the variable, then the one in the home folder, which may be missing', async () => {
  const named = await write('{"tenant":"named"}');
  const variable = await write('{"tenant":"variable"}');
  const tenant = async (file: string | undefined, env: NodeJS.ProcessEnv) => {
    const loaded = await loadProfile(file, env);
    return loaded.ok ? loaded.value.tenant : loaded.fault.message;
  };
  expect(await tenant(named.path, { LOCKKEEPER_PROFILE: variable.path })).toBe('named');
  expect(await tenant(undefined, { LOCKKEEPER_PROFILE: variable.path })).toBe('variable');
  expect(await tenant(undefined, { LOCKKEEPER_PROFILE: '', HOME: named.dir })).toBe('');
});

test('lets options override, and only those that are given', async () => {
  const { path } = await write('{"tenant":"acme","mqtt":{"url":"mqtt://a","username":"u"}}');
  expect(await loadProfile(path, {}, { broker: 'mqtt://b', trust: 'broker' })).toMatchObject({
    value: { tenant: 'acme', trust: 'broker', mqtt: { url: 'mqtt://b', username: 'u' } },
  });
});

test.each([
  ['{"tenant":', /line 1, column \d+/],
  ['{"tenant":1}', /tenant/],
  ['{"password":"hunter2"}', /password/],
  ['{"mqtt":{"password":"hunter2"}}', /password/],
  ['{"mqtt":{"protocol":"6"}}', /protocol/],
])('names the file and what is wrong with %s, never a value', async (text, what) => {
  const { path } = await write(text);
  const loaded = await loadProfile(path, {});
  if (loaded.ok) throw new Error('the profile was taken');
  expect(loaded.fault).toMatchObject({ code: 'CONFIG_INVALID' });
  expect(loaded.fault.message).toContain(path);
  expect(loaded.fault.message).toMatch(what);
  expect(loaded.fault.message).not.toContain('hunter2');
});

test.each([0o644, 0o640, 0o604])('refuses mode %o', async (mode) => {
  const { path } = await write('{}', mode);
  expect(await loadProfile(path, {})).toMatchObject({ ok: false, fault: { message: /chmod 600/ } });
});
