/** What a daemon needs to live in the sandbox: its authtoken in a file, and a configuration that names everything. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxLine } from './sandbox.ts';

const OWNER_ONLY = 0o600;

/** Writes `authtoken` and `config.json` into `dir` and returns the latter's path. */
export const writeDeviceFiles = async (dir: string, line: SandboxLine): Promise<string> => {
  const authtokenFile = join(dir, 'authtoken');
  const configFile = join(dir, 'config.json');
  const config = {
    device: { id: 'device-1', tenant: 'sandbox' },
    stateDir: join(dir, 'device-1'),
    socket: join(dir, 'device-1.sock'),
    mqtt: { url: line.broker.url },
    trust: { mode: 'broker' },
    ngrok: { authtokenFile, serverAddr: line.edge.addr, caFile: line.caFile },
    upstreams: { hmi: { url: 'http://127.0.0.1:8080' } },
    endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: `https://device-1.${line.domain}` }],
  };
  await writeFile(authtokenFile, `${line.authtokens['default'] ?? ''}\n`, { mode: OWNER_ONLY });
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`);
  return configFile;
};
