import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openOutboxFile } from '../../../src/vault/outbox-file.ts';
import { tempDir } from '../../support/temp-dir.ts';

const message = (n: number) => ({ topic: `t/${n}`, payload: `{"n":${n}}`, qos: 1 as const });

test('what was appended is found again, also behind a line that a power cut tore', async () => {
  const dir = await tempDir();
  const file = await openOutboxFile(dir);
  expect(file).toMatchObject({ found: [], bytes: 0 });
  await file.append([message(1), message(2)]);
  await appendFile(join(dir, 'outbox'), '0123456789abcdef {"topic":"t/3","pay');
  const again = await openOutboxFile(dir);
  expect(again.found).toEqual([message(1), message(2)]);
});

test.each(['', '\0\0\0\0', 'nonsense\n\n{}'])('a file that holds %j holds nothing', async (text) => {
  const dir = await tempDir();
  await writeFile(join(dir, 'outbox'), text);
  expect((await openOutboxFile(dir)).found).toEqual([]);
});

test('replacing leaves what is given, and nothing leaves no file', async () => {
  const dir = await tempDir();
  const file = await openOutboxFile(dir);
  await file.append([message(1), message(2)]);
  const bytes = await file.replace([message(3)]);
  expect((await readFile(join(dir, 'outbox'))).byteLength).toBe(bytes);
  expect((await openOutboxFile(dir)).found).toEqual([message(3)]);
  expect(await file.replace([])).toBe(0);
  expect(await openOutboxFile(dir)).toMatchObject({ found: [], bytes: 0 });
});
