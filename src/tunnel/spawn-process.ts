import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { TunnelId } from '../core/tunnel-event.ts';
import { errPath } from './run-dir.ts';

/** The only variables a tunnel process inherits: no proxy settings, no NODE_OPTIONS, nothing of ours. */
const INHERITED = ['PATH', 'HOME', 'TZ', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'];

/** The environment of a tunnel process. */
export const processEnv = (from: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(INHERITED.flatMap((name) => (from[name] ? [[name, from[name]] as const] : []))),
  // One arena: the process has few threads that allocate, and a gateway little memory.
  MALLOC_ARENA_MAX: '1',
});

/** Entry of the tunnel process: beside this file, from source as well as in the bundle. */
export const defaultProcessEntry = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? './process.ts' : './tunnel-process.js', import.meta.url),
  );

export interface SpawnOptions {
  readonly execPath: string;
  readonly processEntry: string;
  readonly runDir: string;
  readonly tunnel: TunnelId;
}

/**
 * Starts a tunnel process in a process group and folder of its own, with a channel on descriptor 3 and its standard
 * error in a file that outlives us. Throws when the file cannot be made; a failed start is the child's `error` event.
 */
export const spawnProcess = (options: SpawnOptions): { child: ChildProcess; channel: Socket } => {
  const stderr = openSync(errPath(options.runDir, options.tunnel), 'a', 0o600);
  try {
    const child = spawn(
      options.execPath,
      ['--v8-pool-size=0', '--max-semi-space-size=4', options.processEntry, options.runDir, options.tunnel],
      {
        cwd: '/',
        // A signal to our group, a terminal's Ctrl-C for one, is not for the tunnels.
        detached: true,
        env: processEnv(process.env),
        stdio: ['ignore', 'ignore', stderr, 'pipe'],
      },
    );
    const channel = child.stdio[3];
    if (!(channel instanceof Socket)) throw new Error('the channel is no socket');
    return { child, channel };
  } finally {
    closeSync(stderr);
  }
};
