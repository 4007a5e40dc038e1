/** Bundles the programs into `dist/`, and the library that others import beside them. */
import { fileURLToPath } from 'node:url';
import { bundle } from './packaging/bundle.ts';
import { emitLibrary } from './packaging/library.ts';

const outDir = fileURLToPath(new URL('dist', import.meta.url));
for (const { file, bytes } of await bundle({ outDir }))
  process.stdout.write(`dist/${file}  ${Math.round(bytes / 1024)} KiB\n`);
await emitLibrary();
process.stdout.write('dist/lib\n');
