import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { REPO_DIR, runNode } from '../../support/spawn-node.ts';
import { tempDir } from '../../support/temp-dir.ts';

const probe = (call: string): string => `
import http from 'node:http';
import { ignoreProxies, keepLoopbackDirect } from ${JSON.stringify(`${REPO_DIR}/src/config/proxy-variables.ts`)};
${call};
const url = process.argv[2];
const byFetch = await fetch(url).then((r) => r.text(), (e) => 'failed');
const byHttp = await new Promise((done) => http.get(url, (r) => { r.resume(); done(r.statusCode); }).on('error', () => done('failed')));
console.log(byFetch, byHttp, 'NODE_USE_ENV_PROXY' in process.env);
process.exit();
`;

const run = async (call: string): Promise<string> => {
  const server = createServer((_, response) => response.end('served')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  const dead = `http://127.0.0.1:${await freePort()}`;
  const script = join(await tempDir(), 'probe.ts');
  await writeFile(script, probe(call));
  const { stdout } = await runNode(script, [`http://127.0.0.1:${(server.address() as AddressInfo).port}/`], {
    env: {
      HTTP_PROXY: dead,
      HTTPS_PROXY: dead,
      ALL_PROXY: dead,
      NODE_USE_ENV_PROXY: '1',
      NO_PROXY: undefined,
    },
  });
  return stdout.trim();
};

test('node sends loopback requests through the proxy by itself', async () => {
  expect(await run('')).toBe('failed failed true');
});

test('the daemon reaches loopback directly, and its children do not inherit the switch', async () => {
  expect(await run('ignoreProxies(process.env)')).toBe('served 200 false');
});

test('the command line reaches loopback directly', async () => {
  expect(await run('keepLoopbackDirect(process.env)')).toBe('served 200 true');
});
