/** `install`: on the box, as root, puts a bundle's files in their places. */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, failed, fault, ok, type Result } from '../../core/errors.ts';
import type { DeviceKey } from '../../protocol/device-key.ts';
import { isRecord, parseStrictJson } from '../../protocol/strict-json.ts';
import { openDeviceKeys } from '../../vault/device-keys.ts';
import { readSecret } from '../../vault/secret-file.ts';
import { bundleKind, type OpenedBundle, unlockBundle, unsealBundle } from '../enroll/bundle.ts';
import { CONFIG_DIR } from '../enroll/device-config.ts';
import { installBundle, systemUser } from '../enroll/install.ts';
import type { Cli } from './cli.ts';
import type { Output } from './output.ts';
import { secretPrompt } from './prompt.ts';

interface InstallCliOptions {
  readonly json?: boolean;
  readonly dir: string;
  readonly stateDir?: string;
  readonly passphraseFile?: string;
  readonly owner?: string;
}

const DEFAULT_STATE_DIR = '/var/lib/lockkeeper';
const SERVICE_USER = 'lockkeeper';

const bad = (message: string) => failed(fault('BAD_ARGS', message, false));

const readBundle = async (path: string): Promise<Result<Uint8Array>> => {
  try {
    return ok(await readFile(path));
  } catch (error) {
    return bad(`The bundle ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`);
  }
};

/** The state folder that the bundle's configuration names. */
const stateDirIn = (bytes: Uint8Array, dir: string): string => {
  const json = parseStrictJson(Buffer.from(bytes).toString('utf8'));
  const config = json.ok && isRecord(json.value) ? json.value['config'] : null;
  const given = isRecord(config) ? config['stateDir'] : null;
  if (typeof given !== 'string' || given === '') return DEFAULT_STATE_DIR;
  return isAbsolute(given) ? given : join(dir, given);
};

/** The device's own keys. They are read, never made here: a sealed bundle was sealed to one that is there. */
const keysIn = async (stateDir: string, nowS: number): Promise<Result<readonly DeviceKey[]>> => {
  const files = await Promise.all(
    [0, 1].map((n) => readFile(join(stateDir, `device-key.${n}.json`)).catch(() => null)),
  );
  if (files.every((file) => file === null))
    return bad(
      `There is no key of this device in ${stateDir}: the bundle is for another box, or lockkeeperd --init was not run here.`,
    );
  const keys = await openDeviceKeys({ dir: stateDir });
  return keys.ok ? ok(keys.value.openers(nowS)) : keys;
};

const passphraseOf = async (cli: Cli, out: Output, file: string | undefined): Promise<Result<string>> => {
  if (file !== undefined) {
    const secret = await readSecret(file, cli.env);
    if (!secret.ok) return secret;
    if (secret.value.warning !== undefined) out.note(secret.value.warning);
    return ok(secret.value.text);
  }
  const ask = secretPrompt({ input: process.stdin, output: process.stderr }, 'Passphrase of the bundle: ');
  const typed = ask === null ? '' : await ask();
  return typed === ''
    ? bad('The bundle is locked: --passphrase-file FILE, or type it at a terminal.')
    : ok(typed);
};

const open = async (
  cli: Cli,
  out: Output,
  bytes: Uint8Array,
  options: InstallCliOptions,
): Promise<Result<OpenedBundle>> => {
  if (bundleKind(bytes) === 'locked') {
    const passphrase = await passphraseOf(cli, out, options.passphraseFile);
    return passphrase.ok ? unlockBundle(bytes, passphrase.value) : passphrase;
  }
  const stateDir = options.stateDir ?? stateDirIn(bytes, resolve(options.dir));
  const keys = await keysIn(stateDir, Math.floor(cli.clock.wall() / 1000));
  return keys.ok ? unsealBundle(bytes, keys.value) : keys;
};

export const addInstallCommand = (program: Command, cli: Cli): void => {
  program
    .command('install')
    .description('on the box, as root: write configuration, keys and token from a bundle')
    .argument('<bundle>', 'what `lockkeeper enroll` made')
    .option('--dir <dir>', 'folder of the configuration', CONFIG_DIR)
    .option('--state-dir <dir>', "folder with the device's key (default: as the bundle's configuration says)")
    .option('--passphrase-file <file>', 'file with the passphrase of a locked bundle (else it is asked for)')
    .option('--owner <user>', `who reads the files (default ${SERVICE_USER}, if there is such a user)`)
    .option('--json', 'print JSON')
    .action(
      cli.action(async (path: string, options: InstallCliOptions) => {
        const out = cli.output(options);
        const bytes = await readBundle(path);
        if (!bytes.ok) return out.fail(bytes.fault);
        const opened = await open(cli, out, bytes.value, options);
        if (!opened.ok) return out.fail(opened.fault);
        const isRoot = process.getuid?.() === 0;
        const user = options.owner ?? SERVICE_USER;
        const owner = isRoot || options.owner !== undefined ? await systemUser(user) : null;
        if (owner === null && options.owner !== undefined)
          return out.fail(
            fault('BAD_ARGS', `There is no user ${options.owner.slice(0, 32)} on this system.`, false),
          );
        const done = await installBundle(opened.value, { dir: resolve(options.dir), owner });
        if (!done.ok) return out.fail(done.fault);
        const { device, credential, gen } = opened.value.content;
        out.json({ v: 1, device, credential, gen, files: done.value });
        for (const file of done.value) out.line(`${file.state.padEnd(9)}  ${file.path}`);
        out.line(`${device} is installed; the bundle ${path} is needed no more and should be removed`);
        return EXIT.ok;
      }),
    );
};
