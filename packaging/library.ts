/**
 * JavaScript and declarations of what `exports` in package.json offers: Node takes no TypeScript from `node_modules`, so
 * whoever installs this package needs them.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));

/** Writes `dist/lib`. Rejects with what the compiler said. */
export const emitLibrary = async (): Promise<void> => {
  const compiler = `${root}node_modules/.bin/tsc`;
  await run(compiler, ['-p', `${root}packaging/tsconfig.lib.json`], { cwd: root }).catch((error: unknown) => {
    throw new Error(`the library does not compile:\n${(error as { readonly stdout?: string }).stdout ?? ''}`);
  });
};
