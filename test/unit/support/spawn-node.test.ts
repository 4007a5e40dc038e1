import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runNode, spawnNode } from '../../support/spawn-node.ts';
import { tempDir } from '../../support/temp-dir.ts';

const script = async (text: string): Promise<string> => {
  const file = join(await tempDir(), 'script.ts');
  await writeFile(file, text);
  return file;
};

test('gives the exit code and everything printed', async () => {
  const file = await script(
    'console.log("out", process.argv[2]); console.error("err"); process.exitCode = 3;',
  );
  expect(await runNode(file, ['x'])).toEqual({ code: 3, signal: null, stdout: 'out x\n', stderr: 'err\n' });
});

test('waits for a line and kills by pid', async () => {
  const running = spawnNode(await script('console.log("ready on 42"); setInterval(() => {}, 1000);'));
  expect(await running.line(/ready on \d+/)).toBe('ready on 42');
  running.kill('SIGKILL');
  expect((await running.exit).signal).toBe('SIGKILL');
});

test('rejects a wait when the process ends without the line', async () => {
  const running = spawnNode(await script('console.log("something else")'));
  await expect(running.line('ready')).rejects.toThrow('the process ended before a line with ready');
});

test('hides the test runner from the program under test', async () => {
  const file = await script(
    'console.log(Object.keys(process.env).filter((n) => /VITEST|NODE_ENV/.test(n)).length)',
  );
  expect((await runNode(file)).stdout).toBe('0\n');
});
