import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JOURNAL_CAPACITY, type Journal, openJournal } from '../../../src/vault/journal.ts';
import type { JournalEntry } from '../../../src/vault/journal-entry.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

const NOW_S = 1_732_430_000;
const idOf = (n: number): string => `01JF0K8ZQ4M9T2V5X7B3${String(n).padStart(6, '0')}`;
const entry = (n: number, more: Partial<JournalEntry> = {}): JournalEntry => ({
  id: idOf(n),
  op: 'ping',
  status: 'succeeded',
  n: 3,
  ts: NOW_S + n,
  digest: 'd',
  attempts: 1,
  expS: NOW_S + 300,
  out: { clk: 'ntp' },
  ...more,
});
const openOn = (disk: MemoryDisk, nowS: () => number = () => NOW_S): Promise<Journal> =>
  openJournal({ dir: '/state', disk, nowS });
const ok = { ok: true, value: undefined };

describe('journal on a disk that loses power', () => {
  /** Two commands, each accepted, then ended; the steps that were confirmed. */
  const steps: readonly JournalEntry[] = [
    entry(1, { status: 'accepted', n: 1 }),
    entry(1, { n: 2 }),
    entry(2, { status: 'accepted', n: 1 }),
    entry(2, { n: 2, status: 'failed', code: 'DEADLINE' }),
  ];
  const run = async (disk: MemoryDisk): Promise<number> => {
    const journal = await openOn(disk);
    let confirmed = 0;
    for (const step of steps) {
      if (!(await journal.record(step)).ok) break;
      confirmed++;
    }
    return confirmed;
  };

  it('still knows every confirmed step, whichever operation was cut', async () => {
    const whole = new MemoryDisk();
    await run(whole);
    for (const unsynced of ['kept', 'empty', 'half', 'zeros'] as const) {
      for (const entries of ['kept', 'undone'] as const) {
        for (let k = 0; k < whole.operations; k++) {
          const disk = new MemoryDisk();
          disk.failAt(k);
          const confirmed = await run(disk);
          disk.powerOn(unsynced, entries);
          const journal = await openOn(disk);
          const message = `cut at ${k}, ${unsynced}, ${entries}, confirmed ${confirmed}`;
          for (const n of [1, 2]) {
            const mine = steps.filter(({ id }) => id === idOf(n));
            const known = mine.filter((_, index) => index + (n - 1) * 2 < confirmed).at(-1);
            const found = journal.lookup(idOf(n));
            expect(found?.n ?? 0, message).toBeGreaterThanOrEqual(known?.n ?? 0);
            if (found !== undefined) expect(mine, message).toContainEqual(found);
          }
          expect(journal.recovered, message).not.toBe('lost');
          expect(await journal.record(entry(9)), message).toEqual(ok);
          expect((await openOn(disk)).lookup(idOf(9)), message).toEqual(entry(9));
        }
      }
    }
  });
});

describe('journal', () => {
  it('gives back the newest step of each command after a restart', async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    expect(await journal.record(entry(1, { status: 'accepted', n: 1 }))).toEqual(ok);
    expect(await journal.record(entry(2, { status: 'executing', n: 2, attempts: 2 }))).toEqual(ok);
    expect(await journal.record(entry(1))).toEqual(ok);
    const again = await openOn(disk);
    expect(again.lookup(idOf(1))).toEqual(entry(1));
    expect(again.unfinished()).toEqual([entry(2, { status: 'executing', n: 2, attempts: 2 })]);
    expect(again.lookup(idOf(3))).toBeUndefined();
    expect(again.recovered).toBe('no');
  });

  it('keeps the first terminal status for ever', async () => {
    const journal = await openOn(new MemoryDisk());
    await journal.record(entry(1));
    const second = await journal.record(entry(1, { status: 'failed', n: 4 }));
    expect(second.ok ? '' : second.fault.code).toBe('INTERNAL');
    expect(journal.lookup(idOf(1))).toEqual(entry(1));
  });

  it('knows an id at once, before the disk has it', async () => {
    const journal = await openOn(new MemoryDisk());
    const saving = journal.record(entry(1));
    expect(journal.lookup(idOf(1))).toEqual(entry(1));
    expect(await saving).toEqual(ok);
  });

  it('lists the newest terminal entries', async () => {
    const journal = await openOn(new MemoryDisk());
    for (const n of [1, 2, 3]) await journal.record(entry(n));
    await journal.record(entry(4, { status: 'executing' }));
    expect(journal.last(2).map(({ id }) => id)).toEqual([idOf(3), idOf(2)]);
  });

  it('is full when no command may be forgotten, then records nothing and knows all it had', async () => {
    const journal = await openOn(new MemoryDisk());
    for (let n = 0; n < JOURNAL_CAPACITY; n++) await journal.record(entry(n));
    const refused = await journal.record(entry(5000));
    expect(refused.ok ? '' : refused.fault.code).toBe('QUEUE_FULL');
    expect(journal.lookup(idOf(5000))).toBeUndefined();
    for (let n = 0; n < JOURNAL_CAPACITY; n++) expect(journal.lookup(idOf(n))).toBeDefined();
  });

  it('makes room by what cannot run again, the oldest first, and never by what is unfinished', async () => {
    let now = NOW_S;
    const disk = new MemoryDisk();
    const journal = await openOn(disk, () => now);
    await journal.record(entry(0, { status: 'executing', expS: 0 }));
    for (let n = 1; n < JOURNAL_CAPACITY; n++) await journal.record(entry(n, { expS: NOW_S + n }));
    now = NOW_S + 93;
    expect(await journal.record(entry(2000))).toEqual(ok);
    expect(await journal.record(entry(2001))).toEqual(ok);
    expect((await journal.record(entry(2002))).ok).toBe(false);
    expect([0, 1, 2, 3].map((n) => journal.lookup(idOf(n)) !== undefined)).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect((await openOn(disk, () => now)).lookup(idOf(2001))).toBeDefined();
  });

  it('keeps an ended command for a day, and past a day until its own end', async () => {
    let now = NOW_S;
    const disk = new MemoryDisk();
    const journal = await openOn(disk, () => now);
    await journal.record(entry(1));
    await journal.record(entry(2, { expS: NOW_S + 100_000 }));
    now = NOW_S + 86_400;
    expect((await openOn(disk, () => now)).lookup(idOf(1))).toBeDefined();
    now = NOW_S + 86_402;
    const later = await openOn(disk, () => now);
    expect(later.lookup(idOf(1))).toBeUndefined();
    expect(later.lookup(idOf(2))).toBeDefined();
  });

  it('stays small on disk however often commands change', async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    for (let round = 0; round < 2500; round++) {
      await journal.record(entry(1, { status: 'executing', attempts: round }));
    }
    const lines = disk.text('/state/journal.0.log')?.split('\n').length ?? 0;
    expect(lines).toBeLessThan(1100);
    expect((await openOn(disk)).lookup(idOf(1))?.attempts).toBe(2499);
  });

  it('does not write a full journal anew for every step', async () => {
    let created = 0;
    const disk = new MemoryDisk();
    const create = disk.create.bind(disk);
    disk.create = (path, mode) => {
      created++;
      return create(path, mode);
    };
    const journal = await openOn(disk, () => NOW_S + 1000);
    for (let n = 0; n < JOURNAL_CAPACITY; n++) await journal.record(entry(n));
    const before = created;
    for (let n = 0; n < 300; n++) await journal.record(entry(JOURNAL_CAPACITY + n));
    // Both files, once at most.
    expect(created - before).toBeLessThanOrEqual(2);
    expect(journal.lookup(idOf(JOURNAL_CAPACITY + 299))).toBeDefined();
  });

  it('remembers in memory what a full disk refuses, says so, and writes it when it can', async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    await journal.record(entry(1));
    disk.break('ENOSPC');
    const refused = await journal.record(entry(2));
    expect(refused.ok ? '' : refused.fault.code).toBe('STORE_FAILED');
    expect(journal.lookup(idOf(2))).toEqual(entry(2));
    expect(journal.isDurable()).toBe(false);
    expect((await journal.flush()).ok).toBe(false);
    disk.break(undefined);
    expect(await journal.flush()).toEqual(ok);
    expect(journal.isDurable()).toBe(true);
    expect((await openOn(disk)).lookup(idOf(2))).toEqual(entry(2));
  });

  it('writes nothing at a start that finds all in order', async () => {
    const disk = new MemoryDisk();
    await (await openOn(disk)).record(entry(1));
    await openOn(disk);
    const before = [disk.text('/state/journal.0.log'), disk.text('/state/journal.1.log')];
    await openOn(disk);
    expect([disk.text('/state/journal.0.log'), disk.text('/state/journal.1.log')]).toEqual(before);
  });
});

describe('journal in a real folder', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'journal-'));
  });
  afterEach(() => rm(dir, { recursive: true }));
  const open = (): Promise<Journal> => openJournal({ dir, nowS: () => NOW_S });

  const damages: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
    empty: () => Buffer.alloc(0),
    half: (bytes) => bytes.subarray(0, bytes.length >> 1),
    zeros: (bytes) => Buffer.alloc(bytes.length),
    'one byte altered': (bytes) => {
      const copy = Buffer.from(bytes);
      copy[bytes.length >> 1] = (copy[bytes.length >> 1] ?? 0) ^ 1;
      return copy;
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    for (const copy of [0, 1]) {
      it(`forgets nothing when copy ${copy} is ${name}, and says that it was repaired`, async () => {
        const first = await open();
        for (let n = 0; n < 10; n++) await first.record(entry(n));
        const path = join(dir, `journal.${copy}.log`);
        await writeFile(path, damage(await readFile(path)));
        const journal = await open();
        expect(journal.recovered).toBe('slot');
        for (let n = 0; n < 10; n++) expect(journal.lookup(idOf(n))).toEqual(entry(n));
        expect(await readdir(dir)).toContain(`journal.${copy}.log.bad-1`);
        expect((await open()).recovered).toBe('no');
      });
    }
  }

  it('skips damaged lines and keeps the others when both copies are damaged', async () => {
    const first = await open();
    for (let n = 0; n < 10; n++) await first.record(entry(n));
    for (const copy of [0, 1]) {
      const path = join(dir, `journal.${copy}.log`);
      const lines = (await readFile(path, 'utf8')).split('\n');
      lines[copy + 3] = 'x'.repeat(40);
      await writeFile(path, lines.join('\n'));
    }
    const journal = await open();
    expect(journal.recovered).toBe('lost');
    for (let n = 0; n < 10; n++) expect(journal.lookup(idOf(n))).toEqual(entry(n));
  });
});
