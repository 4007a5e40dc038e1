import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clearStale } from '../../../src/vault/dir-lock.ts';
import { type Disk, nodeDisk } from '../../../src/vault/disk.ts';
import { mountPointsIn } from '../../../src/vault/mounted-files.ts';
import { openStateDir, type StateDir } from '../../../src/vault/state-dir.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

let root = '';
const children: ChildProcess[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'state-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(root, { recursive: true });
});

const mustOpen = async (path: string): Promise<StateDir> => {
  const dir = await openStateDir(path);
  if (!dir.ok) throw new Error(dir.fault.message);
  return dir.value;
};
const faultOf = async (path: string, ...more: [] | [Parameters<typeof openStateDir>[1]]): Promise<string> => {
  const dir = await openStateDir(path, ...more);
  if (dir.ok) await dir.value.release();
  return dir.ok ? '' : `${dir.fault.code}: ${dir.fault.message}`;
};

/** A process that holds the folder until it is killed. */
const startHolder = async (path: string): Promise<ChildProcess> => {
  const module = new URL('../../../src/vault/state-dir.ts', import.meta.url).href;
  const script = `
    const { openStateDir } = await import(${JSON.stringify(module)});
    const dir = await openStateDir(${JSON.stringify(path)});
    console.log(dir.ok ? 'held' : dir.fault.message);
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(line.toString().trim()).toBe('held');
  return child;
};

describe('state folder', () => {
  it('is made with its parents, for its own user only', async () => {
    const path = join(root, 'var', 'lib', 'lockkeeper');
    const dir = await mustOpen(path);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect(await dir.writable()).toEqual({ ok: true, value: undefined });
    await dir.release();
    expect(await readdir(path)).toEqual([]);
  });

  it('that cannot be made or written is refused with its path and the user', async () => {
    const file = join(root, 'file');
    await writeFile(file, '');
    const path = join(file, 'state');
    const fault = await faultOf(path);
    expect(fault).toContain(`STORE_FAILED: stateDir ${path} cannot be used by `);
    expect(fault).toContain(`uid ${process.getuid?.() ?? ''}`);
    const disk = new MemoryDisk();
    disk.break('EACCES');
    expect(await faultOf(root, { disk })).toContain('permission is denied');
  });

  it('on a full disk is opened all the same, and says so', async () => {
    let isFull = true;
    const create: Disk['create'] = (path, mode) =>
      isFull ? Promise.reject(Object.assign(new Error(), { code: 'ENOSPC' })) : nodeDisk.create(path, mode);
    const dir = await openStateDir(root, { disk: { ...nodeDisk, create } });
    if (!dir.ok) throw new Error(dir.fault.message);
    expect(dir.value.full?.message).toContain('no space is left');
    expect((await dir.value.writable()).ok).toBe(false);
    isFull = false;
    expect((await dir.value.writable()).ok).toBe(true);
    await dir.value.release();
  });

  it('says when it can no longer be written, and when it can again', async () => {
    const disk = new MemoryDisk();
    const dir = await openStateDir(root, { disk });
    if (!dir.ok) throw new Error(dir.fault.message);
    disk.break('EROFS');
    const refused = await dir.value.writable();
    expect(refused.ok ? '' : refused.fault.message).toContain('read-only');
    disk.break(undefined);
    expect((await dir.value.writable()).ok).toBe(true);
    await dir.value.release();
  });

  it('is rid of what a crash left half done, and of nothing else', async () => {
    for (const name of ['.tmp-12-0-vault.0.json', '.lock-12-ab.sock', 'vault.0.json', 'vault.0.json.bad-1']) {
      await writeFile(join(root, name), '');
    }
    const dir = await mustOpen(root);
    await dir.release();
    expect((await readdir(root)).toSorted((a, b) => a.localeCompare(b))).toEqual([
      'vault.0.json',
      'vault.0.json.bad-1',
    ]);
  });

  it('has one holder at a time, within a process too', async () => {
    const dir = await mustOpen(root);
    expect(await faultOf(root)).toContain('another lockkeeperd is using it');
    await dir.release();
    expect(await faultOf(root)).toBe('');
  });

  it('goes to exactly one of many that start together, also over a dead holder', async () => {
    for (let round = 0; round < 5; round++) {
      const holder = await startHolder(root);
      holder.kill('SIGKILL');
      await once(holder, 'exit');
      const opened = await Promise.all(Array.from({ length: 8 }, () => openStateDir(root)));
      const holders = opened.filter((dir) => dir.ok);
      expect(holders).toHaveLength(1);
      for (const dir of holders) await dir.value.release();
    }
  });

  it('is held by another process while it lives, stopped or not, and free once it is killed', async () => {
    const holder = await startHolder(root);
    expect(await faultOf(root)).toContain('another lockkeeperd is using it');
    holder.kill('SIGSTOP');
    expect(await faultOf(root)).toContain('another lockkeeperd is using it');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(await faultOf(root)).toBe('');
  });

  it('stays with a holder whom a slower starter took for dead', async () => {
    const dir = await mustOpen(root);
    expect(await clearStale(root)).toBe(false);
    expect(await faultOf(root)).toContain('another lockkeeperd is using it');
    await dir.release();
    expect(await clearStale(root)).toBe(true);
    expect(await readdir(root)).toEqual([]);
  });

  it('may have a path longer than a socket address', async () => {
    const path = join(root, 'x'.repeat(100), 'y'.repeat(100));
    const dir = await mustOpen(path);
    expect(await faultOf(path)).toContain('another lockkeeperd is using it');
    await dir.release();
    expect(await readdir(path)).toEqual([]);
  });

  it('is told from a folder with single files mounted into it', async () => {
    const mountinfo = [
      '22 1 0:20 / / rw - ext4 /dev/sda rw',
      '30 22 0:31 /a /var/lib/lockkeeper/vault.0.json rw - ext4 /dev/sda rw',
      '31 22 0:31 /b /var/lib/lockkeeper/with\\040blank rw - ext4 /dev/sda rw',
      '32 22 0:31 /c /var/lib/lockkeeper/deep/er rw - ext4 /dev/sda rw',
      '33 22 0:31 /d /var/lib/lockkeeper rw - ext4 /dev/sda rw',
      '',
    ].join('\n');
    expect(mountPointsIn('/var/lib/lockkeeper', mountinfo)).toEqual(['vault.0.json', 'with blank']);
    expect(mountPointsIn('/', mountinfo)).toEqual([]);
    await mkdir(join(root, 'sub'));
    expect(await faultOf(root)).toBe('');
  });
});
