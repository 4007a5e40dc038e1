import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDeviceBook, takeSeq } from '../../../src/fleet/device-book.ts';
import { makeDeviceKey } from '../../../src/protocol/device-key.ts';
import { tempDir } from '../../support/temp-dir.ts';

test('starts with an empty record and keeps what is stored, for the owner only', async () => {
  const dir = join(await tempDir(), 'devices');
  const book = openDeviceBook(dir);
  expect(await book.read('press-7')).toEqual({
    ok: true,
    value: { v: 1, device: 'press-7', seq: {}, rev: 0, gen: 0 },
  });
  const { kid, x } = await makeDeviceKey();
  await book.update('press-7', (r) => ({ ...r, pin: { kid, x }, rev: 4 }));
  expect(await openDeviceBook(dir).read('press-7')).toMatchObject({
    ok: true,
    value: { pin: { kid, x }, rev: 4 },
  });
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
  expect((await stat(join(dir, 'press-7.json'))).mode & 0o777).toBe(0o600);
});

test('gives rising sequence numbers per key, also when the clock stands or goes back', async () => {
  const book = openDeviceBook(await tempDir());
  const take = async (kid: string, wallMs: number) => {
    const taken = await takeSeq(book, 'press-7', kid, wallMs);
    return taken.ok ? taken.value : taken.fault.message;
  };
  expect(await take('ops-1', 1000)).toBe(1000);
  expect(await take('ops-1', 1000)).toBe(1001);
  expect(await take('ops-1', 5)).toBe(1002);
  expect(await take('ops-1', 2000.7)).toBe(2000);
  expect(await take('noc-1', 7)).toBe(7);
});

test('never gives one number twice to takers at the same time', async () => {
  const dir = await tempDir();
  const taken = await Promise.all(
    Array.from({ length: 20 }, () => takeSeq(openDeviceBook(dir), 'press-7', 'ops-1', 1000)),
  );
  expect(new Set(taken.map((t) => (t.ok ? t.value : t.fault.message))).size).toBe(20);
});

test.each([
  ['cut in half', (text: string) => text.slice(0, text.length / 2)],
  ['of another device', (text: string) => text.replace('press-7', 'press-8')],
  ['with a pin that is no key', (text: string) => text.replace(/"x": "[^"]+"/, '"x": "abc"')],
  ['empty', () => ''],
])('refuses a record that is %s, rather than forgetting the pin', async (_what, damage) => {
  const dir = await tempDir();
  const book = openDeviceBook(dir);
  const { kid, x } = await makeDeviceKey();
  await book.update('press-7', (r) => ({ ...r, pin: { kid, x } }));
  const path = join(dir, 'press-7.json');
  await writeFile(path, damage(await readFile(path, 'utf8')));
  expect(await book.read('press-7')).toMatchObject({ ok: false, fault: { code: 'CONFIG_INVALID' } });
  expect(await book.update('press-7', (r) => r)).toMatchObject({ ok: false });
});
