/** Bundles the programs into `dist/`. */
import { fileURLToPath } from 'node:url';
import { bundle } from './packaging/bundle.ts';

const outDir = fileURLToPath(new URL('dist', import.meta.url));
for (const { file, bytes } of await bundle({ outDir }))
  process.stdout.write(`dist/${file}  ${Math.round(bytes / 1024)} KiB\n`);
