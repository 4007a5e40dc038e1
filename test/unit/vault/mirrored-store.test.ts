import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeFileAtomic } from '../../../src/vault/atomic-file.ts';
import { type MirroredStore, openStore } from '../../../src/vault/mirrored-store.ts';
import { createStateCipher } from '../../../src/vault/state-cipher.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

interface Doc {
  readonly rev: number;
  readonly text: string;
}

const validate = (value: unknown): Doc | undefined => {
  const doc = value as Partial<Doc> | null;
  return typeof doc?.rev === 'number' && typeof doc.text === 'string' ? (doc as Doc) : undefined;
};
const initial: Doc = { rev: 0, text: '' };
const doc = (rev: number): Doc => ({ rev, text: `revision ${rev} – grün` });

const open = (disk: MemoryDisk, keepInMemory = false): Promise<MirroredStore<Doc>> =>
  openStore({ dir: '/state', name: 'doc', validate, initial, disk, keepInMemory });

describe('mirrored store on a disk that loses power', () => {
  const saveTwice = async (disk: MemoryDisk): Promise<number> => {
    const store = await open(disk);
    let confirmed = store.get().rev;
    for (const rev of [1, 2]) if ((await store.save(doc(rev))).ok) confirmed = rev;
    return confirmed;
  };

  it('holds the last confirmed value or the one after it, whichever operation was cut', async () => {
    const whole = new MemoryDisk();
    await saveTwice(whole);
    const outcomes = new Set<number>();
    for (const unsynced of ['kept', 'empty', 'half', 'zeros'] as const) {
      for (const entries of ['kept', 'undone'] as const) {
        for (let k = 0; k < whole.operations; k++) {
          const disk = new MemoryDisk();
          disk.failAt(k);
          const confirmed = await saveTwice(disk);
          expect(disk.isOff).toBe(true);
          disk.powerOn(unsynced, entries);
          const store = await open(disk);
          const { rev } = store.get();
          expect([confirmed, confirmed + 1], `cut at ${k}, ${unsynced}, ${entries}`).toContain(rev);
          expect(store.get()).toEqual(rev === 0 ? initial : doc(rev));
          expect(store.recovered).not.toBe('lost');
          outcomes.add(rev);
          expect(await store.save(doc(7))).toEqual({ ok: true, value: undefined });
          expect((await open(disk)).get()).toEqual(doc(7));
        }
      }
    }
    expect(outcomes).toEqual(new Set([0, 1, 2]));
  });
});

describe('mirrored store on a disk that refuses', () => {
  it.each([
    ['EROFS', 'read-only'],
    ['ENOSPC', 'no space'],
    ['EACCES', 'permission'],
  ])(
    'reports %s with the path, keeps the old value and takes the next one when the disk is good again',
    async (code, words) => {
      const disk = new MemoryDisk();
      const store = await open(disk);
      await store.save(doc(1));
      disk.break(code);
      const result = await store.save(doc(2));
      expect(result.ok ? undefined : result.fault).toMatchObject({ code: 'STORE_FAILED', retryable: true });
      expect(result.ok ? '' : result.fault.message).toContain('/state/doc.0.json');
      expect(result.ok ? '' : result.fault.message).toContain(words);
      expect(store.get()).toEqual(doc(1));
      expect(store.isDurable()).toBe(false);
      disk.break(undefined);
      expect(await store.save(doc(3))).toEqual({ ok: true, value: undefined });
      expect((await open(disk)).get()).toEqual(doc(3));
    },
  );

  it('keeps the new value in memory when asked to, and writes it later', async () => {
    const disk = new MemoryDisk();
    const store = await open(disk, true);
    await store.save(doc(1));
    disk.break('ENOSPC');
    expect((await store.save(doc(2))).ok).toBe(false);
    expect(store.get()).toEqual(doc(2));
    expect((await store.flush()).ok).toBe(false);
    disk.break(undefined);
    expect((await store.flush()).ok).toBe(true);
    expect(store.isDurable()).toBe(true);
    expect((await open(disk)).get()).toEqual(doc(2));
  });

  it('opens with the initial value on a disk that cannot be written', async () => {
    const disk = new MemoryDisk();
    disk.break('EROFS');
    const store = await open(disk);
    expect(store.get()).toEqual(initial);
    expect(store.recovered).toBe('no');
  });

  it('does not write a value that is already there', async () => {
    const disk = new MemoryDisk();
    const store = await open(disk);
    await store.save(doc(1));
    const before = disk.operations;
    expect((await store.save({ ...doc(1) })).ok).toBe(true);
    expect(disk.operations).toBe(before);
  });

  it('writes overlapping saves in their order', async () => {
    const disk = new MemoryDisk();
    const store = await open(disk);
    await Promise.all([1, 2, 3, 4, 5].map((rev) => store.save(doc(rev))));
    expect((await open(disk)).get()).toEqual(doc(5));
  });
});

describe('mirrored store in a real folder', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'store-'));
  });
  afterEach(async () => {
    await chmod(dir, 0o700);
    await rm(dir, { recursive: true });
  });
  const openReal = () => openStore({ dir, name: 'doc', validate, initial });

  const damages: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
    empty: () => Buffer.alloc(0),
    half: (bytes) => bytes.subarray(0, bytes.length >> 1),
    zeros: (bytes) => Buffer.alloc(bytes.length),
    'one byte altered': (bytes) => {
      const copy = Buffer.from(bytes);
      copy[bytes.length - 8] = (copy[bytes.length - 8] ?? 0) ^ 1;
      return copy;
    },
  };

  for (const [name, damage] of Object.entries(damages)) {
    for (const slot of [0, 1]) {
      it(`keeps the newest value when copy ${slot} is ${name}`, async () => {
        const first = await openReal();
        for (const rev of [1, 2, 3]) await first.save(doc(rev));
        const path = join(dir, `doc.${slot}.json`);
        const bytes = damage(await readFile(path));
        await writeFile(path, bytes);

        const store = await openReal();
        expect(store.get()).toEqual(doc(3));
        expect(store.recovered).toBe('slot');
        expect(await readFile(`${path}.bad-1`)).toEqual(bytes);
        const again = await openReal();
        expect(again.recovered).toBe('no');
        expect(again.get()).toEqual(doc(3));
      });
    }
  }

  it('says that the state is lost when both copies are damaged, and starts from the initial value', async () => {
    const first = await openReal();
    await first.save(doc(1));
    for (const slot of [0, 1]) await writeFile(join(dir, `doc.${slot}.json`), '');
    const store = await openReal();
    expect(store.recovered).toBe('lost');
    expect(store.get()).toEqual(initial);
    expect((await store.save(doc(4))).ok).toBe(true);
    expect((await openReal()).recovered).toBe('no');
  });

  it('says that a copy was repaired when one file is gone', async () => {
    const first = await openReal();
    for (const rev of [1, 2]) await first.save(doc(rev));
    await rm(join(dir, 'doc.0.json'));
    const store = await openReal();
    expect(store.recovered).toBe('slot');
    expect(store.get()).toEqual(doc(2));
  });

  it('keeps at most three damaged files, the newest ones', async () => {
    await (await openReal()).save(doc(1));
    for (let n = 1; n <= 5; n++) {
      await writeFile(join(dir, 'doc.1.json'), `damage ${n}`);
      await openReal();
    }
    const names = (await readdir(dir)).filter((name) => name.includes('.bad-')).sort();
    expect(names).toEqual(['doc.1.json.bad-3', 'doc.1.json.bad-4', 'doc.1.json.bad-5']);
    expect(await readFile(join(dir, 'doc.1.json.bad-5'), 'utf8')).toBe('damage 5');
  });

  it('lets only its own user read the files and leaves no temporary file', async () => {
    await (await openReal()).save(doc(1));
    expect((await readdir(dir)).sort()).toEqual(['doc.0.json', 'doc.1.json']);
    for (const slot of [0, 1]) {
      expect((await stat(join(dir, `doc.${slot}.json`))).mode & 0o777).toBe(0o600);
    }
  });

  it('removes its temporary file when the target cannot be replaced', async () => {
    const target = join(dir, 'folder');
    await writeFileAtomic(join(dir, 'seed'), 'x');
    const { mkdir } = await import('node:fs/promises');
    await mkdir(join(target, 'inside'), { recursive: true });
    await expect(writeFileAtomic(target, 'x')).rejects.toThrow();
    expect((await readdir(dir)).sort()).toEqual(['folder', 'seed']);
  });

  it('stores nothing readable when a cipher is given, and counts another key as a damaged file', async () => {
    const options = { dir, name: 'doc', validate, initial };
    const cipher = createStateCipher(Buffer.alloc(32, 1), 'test');
    const sealed = await openStore({ ...options, cipher });
    await sealed.save({ rev: 1, text: 'canary' });
    expect(await readFile(join(dir, 'doc.0.json'), 'utf8')).not.toContain('canary');
    expect((await openStore({ ...options, cipher })).get()).toEqual({ rev: 1, text: 'canary' });
    const other = createStateCipher(Buffer.alloc(32, 2), 'test');
    expect((await openStore({ ...options, cipher: other })).recovered).toBe('lost');
  });
});
