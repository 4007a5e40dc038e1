/** `keys`: root and command keys, and the set that devices are given. */
import type { Command } from 'commander';
import { EXIT, type Fault, failed, fault, ok, type Result } from '../../core/errors.ts';
import { isKey32 } from '../../protocol/base64url.ts';
import { OPS } from '../../protocol/command-schema.ts';
import type { CommandKey, KeySet } from '../../protocol/keyset.ts';
import { isDeviceId, isKid, isName } from '../../protocol/names.ts';
import { makeSigningKey } from '../../protocol/signing-key.ts';
import { openDeviceBook, seqSource } from '../device-book.ts';
import { readKeyFile, readSigner, writeKeyFile } from '../key-files.ts';
import { type OpenKeys, readKeys, withKey, withoutKey, writeKeys } from '../key-set.ts';
import type { Profile } from '../profile.ts';
import { sendCommand } from '../send-command.ts';
import type { Cli } from './cli.ts';
import {
  durationOption,
  type FleetOptions,
  profileOf,
  signerOf,
  withFleetLink,
  withFleetOptions,
} from './fleet-options.ts';
import type { Output } from './output.ts';
import { resultLine } from './send-command-line.ts';

interface KeysOptions extends FleetOptions {
  readonly rootKey?: string;
  readonly rootKid?: string;
  readonly keysFile?: string;
  readonly ops?: string;
  readonly groups?: string;
  readonly publicKey?: string;
  readonly expires?: number;
  readonly notAfter?: number;
  readonly withRoot?: boolean;
}

/** A set must be renewed within half a year, or devices take nothing but a new set. */
const DEFAULT_SET_LIFE_S = 180 * 86_400;

interface Places {
  readonly rootKey: string;
  readonly keysFile: string;
  readonly profile: Profile;
}

const placesOf = async (cli: Cli, options: KeysOptions): Promise<Result<Places>> => {
  const profile = await profileOf(cli, options);
  if (!profile.ok) return profile;
  const rootKey = options.rootKey ?? profile.value.rootKeyFile;
  const keysFile = options.keysFile ?? profile.value.keysFile;
  if (rootKey === '')
    return failed(
      fault('BAD_ARGS', 'Where is the root key: rootKeyFile in the profile, or --root-key.', false),
    );
  return ok({ rootKey, keysFile, profile: profile.value });
};

const list = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** What the key may do, from `--ops` and `--groups`. */
const limitsOf = (options: KeysOptions, nowS: number): Result<Pick<CommandKey, 'ops' | 'groups' | 'exp'>> => {
  const ops = options.ops === undefined ? ['*'] : list(options.ops);
  const known: readonly string[] = [...OPS, 'desired', '*'];
  const unknown = ops.find((op) => !known.includes(op));
  if (unknown !== undefined || ops.length === 0)
    return failed(fault('BAD_ARGS', `--ops takes ${known.join(' ')}, with commas between.`, false));
  const groups = list(options.groups);
  const odd = groups.find((group) => !isName(group));
  if (odd !== undefined) return failed(fault('BAD_ARGS', '--groups takes names with commas between.', false));
  return ok({
    ops: [...ops],
    ...(groups.length === 0 ? {} : { groups: [...groups] }),
    ...(options.notAfter === undefined ? {} : { exp: nowS + options.notAfter }),
  });
};

const printKeys = (out: Output, path: string, { set }: OpenKeys): number => {
  out.json({ v: 1, keysFile: path, version: set.version, expires: set.expires, keys: set.keys });
  out.line(
    `${path}: version ${set.version}, ends ${new Date(set.expires * 1000).toISOString().slice(0, 10)}`,
  );
  for (const key of set.keys) {
    const end = key.exp === undefined ? '' : ` until ${new Date(key.exp * 1000).toISOString().slice(0, 10)}`;
    out.line(`  ${key.kid}  ${key.ops.join(' ')}${end}`);
  }
  return EXIT.ok;
};

const failedCode = (out: Output, f: Fault): number => {
  const code = out.fail(f);
  return code === EXIT.usage && f.code === 'CONFIG_INVALID' ? EXIT.failed : code;
};

export const addKeysCommands = (program: Command, cli: Cli): void => {
  const keys = program.command('keys').description('root and command keys, and the set that devices trust');
  const nowS = (): number => Math.floor(cli.clock.wall() / 1000);
  const endOf = (options: KeysOptions): number => nowS() + (options.expires ?? DEFAULT_SET_LIFE_S);
  const common = (command: Command): Command =>
    command
      .option('--profile <file>', 'profile')
      .option('--root-key <file>', "the root key's file, instead of the profile's")
      .option('--keys-file <file>', "the devices' keys file, instead of the profile's")
      .option('--expires <duration>', 'life of the key set (default 180d)', durationOption)
      .option('--json', 'print JSON');

  /** Changes the set and signs it anew. */
  const resign = async (
    out: Output,
    places: Places,
    change: (set: KeySet) => Promise<Result<KeySet>>,
  ): Promise<number> => {
    const before = await readKeys(places.keysFile);
    if (!before.ok) return failedCode(out, before.fault);
    const root = await readKeyFile(places.rootKey);
    if (!root.ok) return failedCode(out, root.fault);
    const set = await change(before.value.set);
    if (!set.ok) return failedCode(out, set.fault);
    const written = await writeKeys(places.keysFile, before.value.file.root, set.value, root.value);
    return written.ok ? printKeys(out, places.keysFile, written.value) : failedCode(out, written.fault);
  };

  common(keys.command('init').description('make a root key, a command key and the keys file for devices'))
    .option('--root-kid <kid>', 'name of the root key', 'root-1')
    .option('--kid <kid>', 'name of the command key (default ops-1)')
    .option('--key-file <file>', "the command key's file, instead of the profile's")
    .option('--ops <list>', 'what the command key may sign (default everything)')
    .action(
      cli.action(async (options: KeysOptions) => {
        const out = cli.output(options);
        const places = await placesOf(cli, options);
        if (!places.ok) return out.fail(places.fault);
        const { sign } = places.value.profile;
        const kid = sign.kid === '' ? 'ops-1' : sign.kid;
        const rootKid = options.rootKid ?? 'root-1';
        if (sign.keyFile === '')
          return out.fail(
            fault(
              'BAD_ARGS',
              'Where to put the command key: sign.keyFile in the profile, or --key-file.',
              false,
            ),
          );
        if (!isKid(kid) || !isKid(rootKid) || kid === rootKid)
          return out.fail(
            fault('BAD_ARGS', 'A kid is letters, digits and . _ : -, and each key has its own.', false),
          );
        const limits = limitsOf(options, nowS());
        if (!limits.ok) return out.fail(limits.fault);
        const there = await readKeys(places.value.keysFile);
        if (there.ok)
          return failedCode(
            out,
            fault('CONFIG_INVALID', `There is a keys file at ${places.value.keysFile} already.`, false),
          );
        const [root, command] = await Promise.all([makeSigningKey(rootKid), makeSigningKey(kid)]);
        const keptRoot = await writeKeyFile(places.value.rootKey, root);
        if (!keptRoot.ok) return failedCode(out, keptRoot.fault);
        const keptCommand = await writeKeyFile(sign.keyFile, command);
        if (!keptCommand.ok) return failedCode(out, keptCommand.fault);
        const set: KeySet = {
          v: 1,
          version: 1,
          expires: endOf(options),
          keys: [{ kid, x: command.x, ...limits.value }],
        };
        const written = await writeKeys(places.value.keysFile, [{ kid: rootKid, x: root.x }], set, root);
        return written.ok
          ? printKeys(out, places.value.keysFile, written.value)
          : failedCode(out, written.fault);
      }),
    );

  common(
    keys.command('add').description('add a command key to the set').argument('<kid>', 'name of the new key'),
  )
    .option('--key-file <file>', 'make a new key and put it there')
    .option('--public-key <x>', 'a key that is kept elsewhere: its public half, base64url')
    .option('--ops <list>', 'what it may sign, with commas between (default everything)')
    .option('--groups <list>', 'groups it may address (default all)')
    .option('--not-after <duration>', 'life of the key (default that of the set)', durationOption)
    .action(
      cli.action(async (kid: string, options: KeysOptions) => {
        const out = cli.output(options);
        if (!isKid(kid)) return out.fail(fault('BAD_ARGS', 'A kid is letters, digits and . _ : -.', false));
        const { keyFile, publicKey, ...rest } = options;
        if ((keyFile === undefined) === (publicKey === undefined))
          return out.fail(fault('BAD_ARGS', 'Give either --key-file or --public-key.', false));
        if (publicKey !== undefined && !isKey32(publicKey))
          return out.fail(fault('BAD_ARGS', '--public-key takes 32 bytes as base64url.', false));
        const limits = limitsOf(options, nowS());
        if (!limits.ok) return out.fail(limits.fault);
        const places = await placesOf(cli, rest);
        if (!places.ok) return out.fail(places.fault);
        return resign(out, places.value, async (set) => {
          const made = keyFile === undefined ? null : await makeSigningKey(kid);
          const next = withKey(set, { kid, x: made?.x ?? publicKey ?? '', ...limits.value }, endOf(options));
          if (!next.ok || made === null || keyFile === undefined) return next;
          const kept = await writeKeyFile(keyFile, made);
          return kept.ok ? next : kept;
        });
      }),
    );

  common(
    keys.command('revoke').description('take a command key out of the set').argument('<kid>', 'its name'),
  ).action(
    cli.action(async (kid: string, options: KeysOptions) => {
      const out = cli.output(options);
      const places = await placesOf(cli, options);
      if (!places.ok) return out.fail(places.fault);
      return resign(out, places.value, async (set) => withoutKey(set, kid, endOf(options)));
    }),
  );

  withFleetOptions(
    keys.command('publish').description('send the key set to devices').argument('<device...>', 'device ids'),
  )
    .option('--keys-file <file>', "the keys file, instead of the profile's")
    .option('--root-key <file>', "the root key's file, instead of the profile's")
    .option(
      '--with-root',
      'sign the command with the root key: for devices that trust no command key any more',
    )
    .action(
      cli.action(async (devices: readonly string[], options: KeysOptions) => {
        const out = cli.output(options);
        if (!devices.every(isDeviceId))
          return out.fail(fault('BAD_ARGS', 'A device id is a-z, 0-9 and -, 3 to 63 long.', false));
        const profile = await profileOf(cli, options);
        if (!profile.ok) return out.fail(profile.fault);
        const path = options.keysFile ?? profile.value.keysFile;
        const opened = await readKeys(path);
        if (!opened.ok) return failedCode(out, opened.fault);
        const signer =
          options.withRoot === true
            ? await readSigner(options.rootKey ?? profile.value.rootKeyFile)
            : await signerOf(profile.value);
        if (!signer.ok) return out.fail(signer.fault);
        const book = openDeviceBook(profile.value.devicesDir);
        const timeoutS = options.timeout ?? 60;
        return withFleetLink(profile.value, out, timeoutS, async (link) => {
          const ends = await Promise.all(
            devices.map(async (device) => ({
              device,
              sent: await sendCommand(link, {
                device,
                op: 'keys',
                args: { set: opened.value.file.set },
                signer: signer.value,
                nextSeq: seqSource(book, device, signer.value, cli.clock),
                timeoutS,
                clock: cli.clock,
              }),
            })),
          );
          const rows = ends.map(({ device, sent }) => {
            if (!sent.ok) return { device, status: 'failed', code: sent.fault.code, msg: sent.fault.message };
            if (sent.value.kind === 'silent') return { device, status: 'silent' };
            return { device, ...sent.value.result };
          });
          out.json({ v: 1, version: opened.value.set.version, devices: rows });
          for (const [i, { device, sent }] of ends.entries()) {
            const isDone = sent.ok && sent.value.kind === 'done';
            out.line(
              `${device}  ${isDone && sent.value.kind === 'done' ? resultLine(sent.value.result) : rows[i]?.status}`,
            );
          }
          if (rows.some(({ status }) => status !== 'succeeded' && status !== 'silent')) return EXIT.failed;
          return rows.some(({ status }) => status === 'silent') ? EXIT.timeout : EXIT.ok;
        });
      }),
    );
};
