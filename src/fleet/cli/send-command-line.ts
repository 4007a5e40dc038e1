/** `send`: one command to one device. */
import { type Command, Option } from 'commander';
import { EXIT, failed, fault, ok, type Result } from '../../core/errors.ts';
import { isOp, OPS, type Op } from '../../protocol/command-schema.ts';
import { isUlid } from '../../protocol/names.ts';
import type { ResultMessage } from '../../protocol/result-schema.ts';
import { readSecret } from '../../vault/secret-file.ts';
import { openDeviceBook, seqSource } from '../device-book.ts';
import type { FleetLink } from '../fleet-link.ts';
import { readKeys } from '../key-set.ts';
import { keyFromHello, pinDevice } from '../pin-device.ts';
import type { Profile } from '../profile.ts';
import { readHello } from '../read-device.ts';
import { prepareRekey } from '../rekey.ts';
import { type SendOutcome, sendCommand } from '../send-command.ts';
import type { Cli } from './cli.ts';
import {
  countOption,
  deviceArgument,
  durationOption,
  type FleetOptions,
  noAnswer,
  profileOf,
  signerOf,
  withFleetLink,
  withFleetOptions,
} from './fleet-options.ts';
import type { Output } from './output.ts';

interface SendCliOptions extends FleetOptions {
  readonly lease?: number;
  readonly tokenFile?: string;
  readonly credentialId?: string;
  readonly gen?: number;
  readonly mode?: 'overlap' | 'break-first';
  readonly keysFile?: string;
  readonly trustOnFirstUse?: boolean;
}

/** A swap's result follows the drain of the old session. */
const DEFAULT_TIMEOUT_S: Readonly<Partial<Record<Op, number>>> = { rekey: 180 };

const bad = (message: string) => failed(fault('BAD_ARGS', message, false));

const takesEndpoint = (op: Op): boolean => op === 'start' || op === 'stop';

/** What the command line alone can judge: which words go with which verb. */
const checkWords = (op: Op, target: string | undefined, options: SendCliOptions): Result<void> => {
  if (takesEndpoint(op) && target === undefined) return bad(`${op} needs the name of an endpoint (or *).`);
  if (op === 'start' && target === '*') return bad('start needs the name of one endpoint.');
  if (op === 'cancel' && (target === undefined || !isUlid(target)))
    return bad('cancel needs the id of a command.');
  if (!takesEndpoint(op) && op !== 'cancel' && target !== undefined) return bad(`${op} takes no endpoint.`);
  if (options.lease !== undefined && !takesEndpoint(op)) return bad(`${op} takes no --lease.`);
  if (options.lease !== undefined && (options.lease < 60 || options.lease > 86_400))
    return bad('A lease is between 60 s and 24 h.');
  if ((op === 'rekey') !== (options.tokenFile !== undefined))
    return bad(op === 'rekey' ? 'rekey needs --token-file.' : `${op} takes no --token-file.`);
  if (
    op !== 'rekey' &&
    (options.gen !== undefined || options.mode !== undefined || options.credentialId !== undefined)
  )
    return bad(`--gen, --mode and --credential-id go with rekey only.`);
  if (options.trustOnFirstUse === true && (op !== 'rekey' || options.trust !== 'broker'))
    return bad('--trust-on-first-use is for rekey with --trust broker, on a bench.');
  return ok(undefined);
};

const rekeyArgs = async (
  cli: Cli,
  out: Output,
  link: FleetLink,
  profile: Profile,
  device: string,
  options: SendCliOptions,
): Promise<Result<Readonly<Record<string, unknown>>>> => {
  const book = openDeviceBook(profile.devicesDir);
  const secret = await readSecret(options.tokenFile ?? '', cli.env);
  if (!secret.ok) return secret;
  if (secret.value.warning !== undefined) out.note(secret.value.warning);
  let record = await book.read(device);
  if (!record.ok) return record;
  if (record.value.pin === undefined && options.trustOnFirstUse === true) {
    const seen = await keyFromHello(await readHello(link, device), device, null);
    if (!seen.ok) return seen;
    const pinned = await pinDevice(book, device, seen.value, false);
    if (!pinned.ok) return pinned;
    out.note(`pinned the key that ${device} publishes (${seen.value.kid}), on the broker's word alone`);
    record = await book.read(device);
    if (!record.ok) return record;
  }
  const prepared = await prepareRekey(link, {
    device,
    record: record.value,
    token: secret.value.text,
    credentialId: options.credentialId ?? '',
    generation: options.gen ?? null,
    mode: options.mode ?? null,
  });
  return prepared.ok ? ok({ ...prepared.value }) : prepared;
};

const argsOf = async (
  cli: Cli,
  out: Output,
  link: FleetLink,
  profile: Profile,
  device: string,
  op: Op,
  target: string | undefined,
  options: SendCliOptions,
): Promise<Result<Readonly<Record<string, unknown>> | null>> => {
  if (op === 'start' || op === 'stop')
    return ok({ ep: target, ...(options.lease === undefined ? {} : { lease_s: options.lease }) });
  if (op === 'cancel') return ok({ id: target });
  if (op === 'rekey') return rekeyArgs(cli, out, link, profile, device, options);
  if (op === 'keys') {
    const path = options.keysFile ?? profile.keysFile;
    const keys = await readKeys(path);
    return keys.ok ? ok({ set: keys.value.file.set }) : keys;
  }
  return ok(null);
};

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** One status in one line: `succeeded url=https://… noop=true`, `rejected LOCKED: the device is locked`. */
export const resultLine = (result: ResultMessage): string => {
  const out = Object.entries(result.out ?? {}).map(([key, value]) => `${key}=${shown(value)}`);
  const why =
    result.code === undefined ? '' : ` ${result.code}${result.msg === undefined ? '' : `: ${result.msg}`}`;
  const retry = result.retry_s === undefined ? '' : ` (again in ${result.retry_s} s)`;
  return `${result.status}${why}${retry}${out.length === 0 ? '' : ` ${out.join(' ')}`}`;
};

/** Prints how a command ended; gives the exit code. */
export const printOutcome = (out: Output, device: string, outcome: SendOutcome): number => {
  if (outcome.kind === 'silent') {
    const state = outcome.last === null ? 'has not answered' : `only said ${outcome.last.status}`;
    return noAnswer(out, `${device} ${state} in time; command ${outcome.id} may still be carried out.`);
  }
  out.json(outcome.result);
  out.line(resultLine(outcome.result));
  return outcome.result.status === 'succeeded' ? EXIT.ok : EXIT.failed;
};

export const addSendCommand = (program: Command, cli: Cli): void => {
  withFleetOptions(
    program
      .command('send')
      .description('send a command to a device and follow its result')
      .argument('<device>', 'device id', deviceArgument)
      .argument('<verb>', OPS.join(', '))
      .argument('[endpoint]', 'endpoint for start and stop (* stops all), command id for cancel'),
  )
    .option('--lease <duration>', 'start: closes by itself after this time', durationOption)
    .option('--token-file <file>', 'rekey: file with the new authtoken')
    .option('--credential-id <id>', "rekey: ngrok's id of the new credential")
    .option('--gen <n>', 'rekey: generation of the token (default the next one)', countOption)
    .addOption(new Option('--mode <mode>', 'rekey: order of the swap').choices(['overlap', 'break-first']))
    .option('--keys-file <file>', "keys: the keys file, instead of the profile's")
    .option('--trust-on-first-use', 'rekey with --trust broker: pin the key that the device publishes')
    .action(
      cli.action(
        async (device: string, verb: string, target: string | undefined, options: SendCliOptions) => {
          const out = cli.output(options);
          if (!isOp(verb))
            return out.fail(
              fault('BAD_ARGS', `There is no verb ${verb.slice(0, 16)}: ${OPS.join(' ')}.`, false),
            );
          const words = checkWords(verb, target, options);
          if (!words.ok) return out.fail(words.fault);
          const profile = await profileOf(cli, options);
          if (!profile.ok) return out.fail(profile.fault);
          const signer = await signerOf(profile.value);
          if (!signer.ok) return out.fail(signer.fault);
          const timeoutS = options.timeout ?? DEFAULT_TIMEOUT_S[verb] ?? 60;
          const book = openDeviceBook(profile.value.devicesDir);

          return withFleetLink(profile.value, out, timeoutS, async (link) => {
            const args = await argsOf(cli, out, link, profile.value, device, verb, target, options);
            if (!args.ok) return out.fail(args.fault);
            const sent = await sendCommand(link, {
              device,
              op: verb,
              ...(args.value === null ? {} : { args: args.value }),
              signer: signer.value,
              nextSeq: seqSource(book, device, signer.value, cli.clock),
              timeoutS,
              onStatus: (result) => {
                if (result.status === 'accepted' || result.status === 'executing')
                  out.progress(result.status);
              },
              clock: cli.clock,
            });
            if (!sent.ok) return out.fail(sent.fault);
            if (verb === 'rekey' && sent.value.kind === 'done' && sent.value.result.status === 'succeeded') {
              const gen = Number(args.value?.['gen']);
              const kept = await book.update(device, (r) => ({ ...r, gen: Math.max(r.gen, gen) }));
              if (!kept.ok) out.note(kept.fault.message);
            }
            return printOutcome(out, device, sent.value);
          });
        },
      ),
    );
};
