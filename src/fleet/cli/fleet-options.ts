/** Options that every command for the fleet takes, and what they lead to: a profile, a signer, a connection. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { EXIT, failed, fault, LockkeeperError, ok, type Result } from '../../core/errors.ts';
import { isDeviceId } from '../../protocol/names.ts';
import type { Signer } from '../../protocol/signing-key.ts';
import { isTopicSegment } from '../../protocol/topics.ts';
import { parseDurationS } from '../duration.ts';
import { createFleetLink, type FleetLink } from '../fleet-link.ts';
import { readSigner } from '../key-files.ts';
import { loadProfile, type Profile } from '../profile.ts';
import type { Cli } from './cli.ts';
import type { Output } from './output.ts';

export interface FleetOptions {
  readonly json?: boolean;
  readonly profile?: string;
  readonly broker?: string;
  readonly tenant?: string;
  readonly trust?: 'signed' | 'broker';
  readonly kid?: string;
  readonly keyFile?: string;
  readonly devicesDir?: string;
  readonly timeout?: number;
}

/** The broker gets this long to answer at first. */
const CONNECT_MS = 15_000;

/** Reads a duration option; a usage error otherwise. */
export const durationOption = (text: string): number => {
  const seconds = parseDurationS(text);
  if (seconds === undefined || seconds === 0)
    throw new InvalidArgumentError('It is a duration like 90s, 15m, 1h.');
  return seconds;
};

/** Reads a whole number that is not negative; a usage error otherwise. */
export const countOption = (text: string): number => {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw new InvalidArgumentError('It is a whole number.');
  return value;
};

/** Reads a device's id; a usage error otherwise. */
export const deviceArgument = (text: string): string => {
  if (!isDeviceId(text)) throw new InvalidArgumentError('It is a device id: a-z, 0-9 and -, 3 to 63 long.');
  return text;
};

/** Adds the options to a command that talks to the broker. */
export const withFleetOptions = (command: Command): Command =>
  command
    .option('--json', 'print JSON')
    .option(
      '--profile <file>',
      'profile (default LOCKKEEPER_PROFILE, then ~/.config/lockkeeper/profile.json)',
    )
    .option('--broker <url>', "the broker, instead of the profile's")
    .option('--tenant <name>', "the tenant, instead of the profile's")
    .addOption(
      new Option('--trust <mode>', 'broker sends unsigned, for benches').choices(['signed', 'broker']),
    )
    .option('--kid <kid>', 'signing key')
    .option('--key-file <file>', "the signing key's file")
    .option('--devices-dir <dir>', 'folder with the records of the devices')
    .option('--timeout <duration>', 'how long to wait for the device (default 60s)', durationOption);

/** Loads the profile with the options over it. */
export const profileOf = async (cli: Cli, options: FleetOptions): Promise<Result<Profile>> => {
  const loaded = await loadProfile(options.profile, cli.env, {
    ...(options.broker === undefined ? {} : { broker: options.broker }),
    ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
    ...(options.trust === undefined ? {} : { trust: options.trust }),
    ...(options.devicesDir === undefined ? {} : { devicesDir: options.devicesDir }),
  });
  if (!loaded.ok) return loaded;
  const { sign } = loaded.value;
  return ok({
    ...loaded.value,
    sign: {
      // A file of another name is another key: the profile's kid does not belong to it.
      kid: options.kid ?? (options.keyFile === undefined ? sign.kid : ''),
      keyFile: options.keyFile ?? sign.keyFile,
    },
  });
};

/** The key to sign with; null in broker mode. */
export const signerOf = async (profile: Profile): Promise<Result<Signer | null>> => {
  if (profile.trust === 'broker') return ok(null);
  if (profile.sign.keyFile === '')
    return failed(
      fault(
        'BAD_ARGS',
        'There is no key to sign with: sign in the profile, --key-file, or --trust broker.',
        false,
      ),
    );
  return readSigner(profile.sign.keyFile, profile.sign.kid);
};

/** Connects, works, disconnects; gives the exit code. Faults that end the work are printed. */
export const withFleetLink = async (
  profile: Profile,
  out: Output,
  timeoutS: number,
  work: (link: FleetLink) => Promise<number>,
): Promise<number> => {
  const { tenant, mqtt } = profile;
  if (mqtt.url === '')
    return out.fail(fault('BAD_ARGS', 'There is no broker: mqtt.url in the profile, or --broker.', false));
  if (!isTopicSegment(tenant))
    return out.fail(fault('BAD_ARGS', 'There is no tenant: tenant in the profile, or --tenant.', false));
  let link: FleetLink | null = null;
  try {
    link = createFleetLink({ tenant, mqtt });
    await link.ready(Math.min(CONNECT_MS, timeoutS * 1000));
    return await work(link);
  } catch (error) {
    if (!(error instanceof LockkeeperError)) throw error;
    return out.fail(error.fault);
  } finally {
    await link?.close();
  }
};

/** Nothing in time. */
export const noAnswer = (out: Output, message: string): number => {
  out.fail(fault('DEADLINE', message, true));
  return EXIT.timeout;
};
