import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSecret } from '../../../src/vault/secret-file.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'secret-'));
});
afterEach(() => rm(dir, { recursive: true }));

const put = async (content: string | Uint8Array, mode = 0o600): Promise<string> => {
  const path = join(dir, 'token');
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
};
const faultOf = async (reference: string, env: Record<string, string> = {}): Promise<string> => {
  const secret = await readSecret(reference, env);
  return secret.ok ? '' : `${secret.fault.code}: ${secret.fault.message}`;
};

describe('secret file', () => {
  it.each(['tok', 'tok\n', 'tok\r\n', 'tok\n\n', '\ufefftok\r\n'])(
    'is read as tok from %j',
    async (content) => {
      const path = await put(content);
      expect(await readSecret(path, {})).toEqual({ ok: true, value: { text: 'tok', path } });
    },
  );

  it('is read with a warning when others may read it', async () => {
    const path = await put('tok', 0o644);
    const secret = await readSecret(path, {});
    expect(secret.ok && secret.value.warning).toBe(`${path} has mode 0644, others may read it: chmod 600`);
  });

  it('may be a credential of the service manager, whose mode is not our matter', async () => {
    const path = await put('tok', 0o444);
    expect(await readSecret('credential:token', { CREDENTIALS_DIRECTORY: dir })).toEqual({
      ok: true,
      value: { text: 'tok', path },
    });
    expect(await faultOf('credential:token')).toContain('CREDENTIALS_DIRECTORY is not set');
    expect(await faultOf('credential:../token', { CREDENTIALS_DIRECTORY: dir })).toContain(
      'does not name a credential',
    );
  });

  it('names the path when it is missing, empty, a folder or too long', async () => {
    const missing = join(dir, 'missing');
    expect(await faultOf(missing)).toBe(`CONFIG_INVALID: ${missing} is not there (ENOENT)`);
    await mkdir(join(dir, 'folder'));
    expect(await faultOf(join(dir, 'folder'))).toContain('is a folder');
    expect(await faultOf(await put('\n'))).toContain('is empty');
    expect(await faultOf(await put('x'.repeat(70_000)))).toContain('too long');
  });
});
