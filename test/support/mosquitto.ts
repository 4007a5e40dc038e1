import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { adapt, docBlock } from './broker-docs.ts';
import {
  type BrokerMaker,
  DEVICES,
  OPERATOR,
  PASSWORD,
  type Restartable,
  restartable,
} from './broker-rig.ts';
import { freePort } from './free-port.ts';
import { spawnProgram } from './spawn-node.ts';
import { tempDir } from './temp-dir.ts';

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

const processOf = (configFile: string): Restartable =>
  restartable(
    () => spawnProgram(MOSQUITTO, ['-c', configFile], { autoKill: false }),
    // Its listeners open one after the other: an answer on the first says nothing about the others.
    (started) => started.line(/ running$/),
  );

/** Started by root it would otherwise become another user, who cannot read the test's files. */
const OWN_USER = `user ${userInfo().username}`;

/** With the documented settings: passwords, and rights by user name. */
export const mosquitto: BrokerMaker = async (dir) => {
  const port = await freePort();
  const passwordFile = join(dir, 'passwords');
  const aclFile = join(dir, 'acl');
  const configFile = join(dir, 'mosquitto.conf');
  const settings = adapt(await docBlock('brokers.md', 'mosquitto'), {
    'listener 1883': `listener ${port} 127.0.0.1`,
    '/etc/mosquitto/passwords': passwordFile,
    '/etc/mosquitto/lockkeeper.acl': aclFile,
    '/var/lib/mosquitto/': `${dir}/`,
  });
  await writeFile(configFile, `${OWN_USER}\nlog_dest stderr\nlog_type all\n${settings}`);
  await writeFile(aclFile, await docBlock('install.md', 'mosquitto-acl'), { mode: 0o600 });
  await writeFile(passwordFile, [OPERATOR, ...DEVICES].map((user) => `${user}:${PASSWORD}\n`).join(''), {
    mode: 0o600,
  });
  const hashed = await spawnProgram('mosquitto_passwd', ['-U', passwordFile], { autoKill: false }).exit;
  if (hashed.code !== 0) throw new Error(hashed.stderr);
  const { start, crash, stderr } = processOf(configFile);
  return { port, tls: null, start, log: stderr, crash, end: crash };
};

/** Starts Debian's Mosquitto on a free loopback port; it ends with the test. */
export const startMosquitto = async (options: MosquittoOptions = {}): Promise<Mosquitto> => {
  const dir = await tempDir('lockkeeper-mosquitto-');
  const port = await freePort();
  const { tls } = options;
  const lines = [
    OWN_USER,
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

  const { start, stop, crash, stderr } = processOf(configFile);
  onTestFinished(crash);
  await start();
  const scheme = options.protocol === 'websockets' ? 'ws' : 'mqtt';
  return {
    port,
    url: `${scheme}${tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    log: stderr,
    stop: (signal = 'SIGTERM') => stop(signal),
    start,
  };
};
