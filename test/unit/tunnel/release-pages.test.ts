import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { filePages, holds, openReleasePages } from '../../../src/tunnel/release-pages.ts';

const mapping = (range: string, rights: string, inode: string, sizes: string): string =>
  `${range} ${rights} 00000000 fe:00 ${inode}    ${inode === '0' ? '' : '/usr/lib/node'}\nRss:   8 kB\n${sizes}`;
const CLEAN = 'Anonymous:             0 kB\nSwap:                  0 kB\n';

test('pages of a program or library are told by their mapping', () => {
  const text = [
    mapping('00400000-00401000', 'r--p', '12', CLEAN),
    mapping('00401000-00404000', 'r-xp', '12', CLEAN),
  ].join('');
  expect(filePages(text)).toEqual([
    { start: 0x40_0000n, bytes: 0x1000n },
    { start: 0x40_1000n, bytes: 0x3000n },
  ]);
});

test.each([
  ['relocations, which the file does not have', 'r--p', '12', 'Anonymous:             4 kB\nSwap: 0 kB\n'],
  ['relocations that were swapped out', 'r--p', '12', 'Anonymous: 0 kB\nSwap:                  4 kB\n'],
  ['what can be written', 'rw-p', '12', CLEAN],
  ['what is shared', 'r--s', '12', CLEAN],
  ['what cannot be read', '---p', '12', CLEAN],
  ['the heap', 'r--p', '0', CLEAN],
  ['a mapping of which the kernel tells too little', 'r--p', '12', 'Anonymous:             0 kB\n'],
])('left alone: %s', (_, rights, inode, sizes) => {
  const text = `${mapping('00400000-00401000', rights, inode, sizes)}${mapping('00500000-00501000', 'r-xp', '12', CLEAN)}`;
  expect(filePages(text)).toEqual([{ start: 0x50_0000n, bytes: 0x1000n }]);
});

test("a list without the landmark is another process's", () => {
  const mappings = filePages(mapping('00400000-00401000', 'r-xp', '12', CLEAN));
  expect([0x3f_ffffn, 0x40_0000n, 0x40_0fffn, 0x40_1000n].map((at) => holds(mappings, at))).toEqual([
    false,
    true,
    true,
    false,
  ]);
});

const canRelease = process.platform === 'linux' && process.getBuiltinModule('node:ffi') !== undefined;
test.runIf(canRelease)(
  'this very process goes on after its pages were released, and nothing is said about how',
  async () => {
    const warnings: Error[] = [];
    process.on('warning', (warning) => warnings.push(warning));
    const release = openReleasePages();
    const mapped = (): number =>
      filePages(readFileSync('/proc/self/smaps', 'latin1')).reduce(
        (sum, { bytes }) => sum + Number(bytes),
        0,
      );
    const resident = (): number =>
      Number(/^Rss: +(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'latin1'))?.[1]);
    expect(mapped()).toBeGreaterThan(0);
    const before = resident();
    release();
    expect(resident()).toBeLessThan(before);
    expect(JSON.parse(JSON.stringify({ still: ['here'] }))).toEqual({ still: ['here'] });
    // A warning is told a turn later.
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  },
);

test('nothing is said about how it is done', async () => {
  const file = new URL('../../../src/tunnel/release-pages.ts', import.meta.url).href;
  const program = `(await import(${JSON.stringify(file)})).openReleasePages()()`;
  const args = ['--input-type=module', '--eval', program];
  expect(await promisify(execFile)(process.execPath, args)).toEqual({ stdout: '', stderr: '' });
});
