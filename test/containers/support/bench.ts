/** What a device in a container meets: a sandbox and an upstream on loopback of this machine. */

import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { type Sandbox, startSandbox } from '../../../src/sandbox/sandbox.ts';
import { plainUpstream } from '../../support/device.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import { type Load, startLoad, type Visit, visit } from '../../support/visitors.ts';

type Json = Readonly<Record<string, unknown>>;

export const HOST = 'device-1.edge.test';

export interface Bench {
  readonly sandbox: Sandbox;
  /** Files for `/etc/lockkeeper`, by name: the configuration with `more` laid over it, the edge's authority, the token. */
  files(
    more?: Json,
  ): Promise<readonly { readonly content: string; readonly target: string; readonly mode: number }[]>;
  /** The same files in a folder of this machine, for a mount; gone with `end`. */
  folder(more?: Json): Promise<string>;
  visit(path?: string): Promise<Visit>;
  load(clients: number, pathOf?: (client: number) => string): Load;
  end(): Promise<void>;
}

export const startBench = async (): Promise<Bench> => {
  const sandbox = await startSandbox();
  const upstream = createServer(plainUpstream);
  await new Promise<void>((resolve) => {
    upstream.listen(0, '127.0.0.1', resolve);
  });
  const { port } = upstream.address() as AddressInfo;
  const { line } = sandbox;
  const folders: string[] = [];
  const door = { http: line.edge.http, host: HOST };
  const files: Bench['files'] = async (more = {}) => {
    const config = {
      device: { id: 'device-1', tenant: 'sandbox' },
      mqtt: { url: line.broker.url },
      trust: { mode: 'broker' },
      ngrok: {
        authtokenFile: '/etc/lockkeeper/authtoken',
        serverAddr: line.edge.addr,
        caFile: '/etc/lockkeeper/edge-ca.pem',
      },
      upstreams: { hmi: { url: `http://127.0.0.1:${port}` } },
      endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: `https://${HOST}`, on: true }],
      drain: { deadlineS: 10 },
      ...more,
    };
    return [
      { content: JSON.stringify(config), target: '/etc/lockkeeper/config.json', mode: 0o644 },
      { content: await readFile(line.caFile, 'utf8'), target: '/etc/lockkeeper/edge-ca.pem', mode: 0o644 },
      { content: line.authtokens['default'] ?? '', target: '/etc/lockkeeper/authtoken', mode: 0o644 },
    ];
  };
  return {
    sandbox,
    files,
    folder: async (more) => {
      const dir = await makeTempDir('lockkeeper-etc-');
      folders.push(dir);
      // The user in the container is another one.
      await chmod(dir, 0o755);
      for (const { content, target, mode } of await files(more))
        await writeFile(join(dir, basename(target)), content, { mode });
      return dir;
    },
    visit: (path = '/') => visit(door, path),
    load: (clients, pathOf = () => '/load') => startLoad(door, clients, pathOf),
    end: async () => {
      for (const dir of folders) await rm(dir, { recursive: true, force: true });
      upstream.closeAllConnections();
      upstream.close();
      await sandbox.close();
      if (sandbox.bugs.length > 0) throw new AggregateError(sandbox.bugs, 'the sandbox met a bug of its own');
    },
  };
};
