import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withFileLock } from '../../../src/fleet/file-lock.ts';
import { runNode } from '../../support/spawn-node.ts';
import { tempDir } from '../../support/temp-dir.ts';

test('lets one in at a time, also when many wait and when work fails', async () => {
  const path = join(await tempDir(), '.lock');
  let inside = 0;
  let most = 0;
  const work = async (i: number): Promise<number> => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
    if (i % 5 === 0) throw new Error('work failed');
    return i;
  };
  const ends = await Promise.allSettled(
    Array.from({ length: 30 }, (_, i) => withFileLock(path, () => work(i))),
  );
  expect(most).toBe(1);
  expect(ends.filter((e) => e.status === 'rejected')).toHaveLength(6);
});

test('hundreds of one program come in by their turn', async () => {
  const path = join(await tempDir(), '.lock');
  const order: number[] = [];
  const all = Array.from({ length: 300 }, (_, i) => i);
  await Promise.all(all.map((i) => withFileLock(path, async () => void order.push(i))));
  expect(order).toEqual(all);
});

test('several programs never work at a time', async () => {
  const dir = await tempDir();
  const script = `
    const { withFileLock } = await import('./src/fleet/file-lock.ts');
    const { readFile, writeFile } = await import('node:fs/promises');
    const file = process.argv[1] + '/count';
    const add = async () => writeFile(file, String(Number(await readFile(file, 'utf8')) + 1));
    await Promise.all(Array.from({ length: 20 }, () => withFileLock(process.argv[1] + '/.lock', add)));`;
  await writeFile(join(dir, 'count'), '0');
  const exits = await Promise.all(
    Array.from({ length: 3 }, () => runNode('--input-type=module', ['-e', script, dir])),
  );
  expect(exits.map(({ code, stderr }) => [code, stderr])).toEqual(Array(3).fill([0, '']));
  expect(await readFile(join(dir, 'count'), 'utf8')).toBe('60');
});

test('takes the lock of a process that is dead', async () => {
  const dir = await tempDir();
  const path = join(dir, '.lock');
  const dead = Number((await runNode('-p', ['process.pid'])).stdout);
  await writeFile(path, `${dead} ${hostname()} 00`);
  expect(await withFileLock(path, async () => 'done')).toBe('done');
  expect(await readdir(dir)).toEqual([]);
});

test('takes a lock of another machine only when it is old', async () => {
  const path = join(await tempDir(), '.lock');
  await writeFile(path, '1 another-machine 00');
  const old = new Date(Date.now() - 120_000);
  await utimes(path, old, old);
  expect(await withFileLock(path, async () => 'done')).toBe('done');
});
