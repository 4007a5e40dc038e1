import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { type Running, spawnProgram } from './spawn-node.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

const MOSQUITTO = '/usr/sbin/mosquitto';

export interface MosquittoOptions {
  /** PEM files for a TLS listener; without them the listener is plain. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile?: string };
  /** `acl_file` text; the user is the certificate's CN when client certificates are asked for. */
  readonly acl?: string;
  /** User names with passwords as `mosquitto_passwd` hashes them, ready for `password_file`. */
  readonly passwordFile?: string;
  /** More lines for the listener or the broker. */
  readonly extra?: readonly string[];
  readonly protocol?: 'mqtt' | 'websockets';
}

export interface Mosquitto {
  readonly port: number;
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://` with the loopback address. */
  readonly url: string;
  /** Everything the running broker logged. */
  log(): string;
  /** Ends the broker by its id: SIGTERM, or SIGKILL for a crash. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port with the same configuration. */
  start(): Promise<void>;
}

/** Starts Debian's Mosquitto on a free loopback port; it ends with the test. */
export const startMosquitto = async (options: MosquittoOptions = {}): Promise<Mosquitto> => {
  const dir = await tempDir('lockkeeper-mosquitto-');
  const port = await freePort();
  const { tls } = options;
  // Started by root it would otherwise become another user, who cannot read the test's files.
  const lines = [
    `user ${userInfo().username}`,
    `listener ${port} 127.0.0.1`,
    'log_dest stderr',
    'log_type all',
    'persistence false',
  ];
  if (options.protocol === 'websockets') lines.push('protocol websockets');
  lines.push(options.passwordFile === undefined ? 'allow_anonymous true' : 'allow_anonymous false');
  if (options.passwordFile !== undefined) lines.push(`password_file ${options.passwordFile}`);
  if (tls !== undefined) {
    lines.push(`certfile ${tls.certFile}`, `keyfile ${tls.keyFile}`);
    if (tls.clientCaFile !== undefined)
      lines.push(`cafile ${tls.clientCaFile}`, 'require_certificate true', 'use_identity_as_username true');
  }
  if (options.acl !== undefined) {
    await writeFile(join(dir, 'acl'), options.acl, { mode: 0o600 });
    lines.push(`acl_file ${join(dir, 'acl')}`);
  }
  const configFile = join(dir, 'mosquitto.conf');
  await writeFile(configFile, `${[...lines, ...(options.extra ?? [])].join('\n')}\n`);

  let running: Running | null = null;
  const start = async (): Promise<void> => {
    running = spawnProgram(MOSQUITTO, ['-c', configFile], { autoKill: false });
    const started = running;
    // Its listeners open one after the other: an answer on the first says nothing about the others.
    await waitFor(() => / running$/m.test(started.stderr()), {
      what: `mosquitto on port ${port}\n${started.stdout()}${started.stderr()}`,
    });
  };
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    running?.kill(signal);
    await running?.exit;
    running = null;
  };
  onTestFinished(() => stop('SIGKILL'));
  await start();
  const scheme = options.protocol === 'websockets' ? 'ws' : 'mqtt';
  return {
    port,
    url: `${scheme}${tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    log: () => running?.stderr() ?? '',
    stop,
    start,
  };
};
