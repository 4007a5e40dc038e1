/** `device`: what this operator remembers of a device, above all its pinned key. */
import type { Command } from 'commander';
import { EXIT, fault } from '../../core/errors.ts';
import { deviceFingerprint } from '../../protocol/device-key.ts';
import { openDeviceBook, type PinnedKey, seqSource } from '../device-book.ts';
import { keyFromHello, pinDevice, readDeviceKeyFile } from '../pin-device.ts';
import { readHello } from '../read-device.ts';
import { renewDeviceKey } from '../renew-key.ts';
import type { Cli } from './cli.ts';
import {
  deviceArgument,
  type FleetOptions,
  profileOf,
  signerOf,
  withFleetLink,
  withFleetOptions,
} from './fleet-options.ts';
import type { Output } from './output.ts';

interface PinOptions extends FleetOptions {
  readonly deviceKey?: string;
  readonly hello?: boolean;
  readonly fingerprint?: string;
  readonly replace?: boolean;
}

const print = async (out: Output, device: string, key: PinnedKey): Promise<number> => {
  const fingerprint = await deviceFingerprint(key.x);
  out.json({ v: 1, device, kid: key.kid, x: key.x, fingerprint });
  out.line(`${device} ${key.kid} ${fingerprint}`);
  return EXIT.ok;
};

export const addDeviceCommands = (program: Command, cli: Cli): void => {
  const device = program.command('device').description('what is remembered of a device');

  withFleetOptions(
    device
      .command('pin')
      .description('pin the key to which tokens for a device are sealed')
      .argument('<device>', 'device id', deviceArgument),
  )
    .option('--device-key <file>', 'what lockkeeperd --init printed on the device')
    .option('--hello', 'the key that the device publishes, if it has this --fingerprint')
    .option('--fingerprint <hex>', 'as read out by somebody at the device')
    .option('--replace', 'put it in the place of another pinned key')
    .action(
      cli.action(async (id: string, options: PinOptions) => {
        const out = cli.output(options);
        const isFromHello = options.hello === true;
        if (isFromHello === (options.deviceKey !== undefined))
          return out.fail(fault('BAD_ARGS', 'Give either --device-key FILE or --hello.', false));
        if (isFromHello !== (options.fingerprint !== undefined))
          return out.fail(fault('BAD_ARGS', '--hello and --fingerprint go together.', false));
        const profile = await profileOf(cli, options);
        if (!profile.ok) return out.fail(profile.fault);
        const book = openDeviceBook(profile.value.devicesDir);
        const store = async (key: PinnedKey): Promise<number> => {
          const pinned = await pinDevice(book, id, key, options.replace === true);
          return pinned.ok ? print(out, id, pinned.value) : out.fail(pinned.fault);
        };
        if (options.deviceKey !== undefined) {
          const key = await readDeviceKeyFile(options.deviceKey, id);
          return key.ok ? store(key.value) : out.fail(key.fault);
        }
        return withFleetLink(profile.value, out, options.timeout ?? 15, async (link) => {
          const key = await keyFromHello(await readHello(link, id), id, options.fingerprint ?? '');
          return key.ok ? store(key.value) : out.fail(key.fault);
        });
      }),
    );

  withFleetOptions(
    device
      .command('renew-key')
      .description('have the device make a new key, which it proves with the pinned one, and pin that')
      .argument('<device>', 'device id', deviceArgument),
  ).action(
    cli.action(async (id: string, options: FleetOptions) => {
      const out = cli.output(options);
      const profile = await profileOf(cli, options);
      if (!profile.ok) return out.fail(profile.fault);
      const signer = await signerOf(profile.value);
      if (!signer.ok) return out.fail(signer.fault);
      const book = openDeviceBook(profile.value.devicesDir);
      const timeoutS = options.timeout ?? 60;
      return withFleetLink(profile.value, out, timeoutS, async (link) => {
        const renewed = await renewDeviceKey(link, book, {
          device: id,
          signer: signer.value,
          nextSeq: seqSource(book, id, signer.value, cli.clock),
          timeoutS,
        });
        return renewed.ok ? print(out, id, renewed.value) : out.fail(renewed.fault);
      });
    }),
  );

  device
    .command('show')
    .description('show the record of a device')
    .argument('<device>', 'device id', deviceArgument)
    .option('--profile <file>', 'profile')
    .option('--devices-dir <dir>', 'folder with the records of the devices')
    .option('--json', 'print JSON')
    .action(
      cli.action(async (id: string, options: FleetOptions) => {
        const out = cli.output(options);
        const profile = await profileOf(cli, options);
        if (!profile.ok) return out.fail(profile.fault);
        const record = await openDeviceBook(profile.value.devicesDir).read(id);
        if (!record.ok) return out.fail(record.fault);
        const { pin, rev, gen } = record.value;
        out.json(record.value);
        out.line(
          `pinned key  ${pin === undefined ? 'none' : `${pin.kid} ${await deviceFingerprint(pin.x)}`}`,
        );
        out.line(`revision    ${rev === 0 ? 'none' : rev}`);
        out.line(`generation  ${gen === 0 ? 'unknown' : gen}`);
        return EXIT.ok;
      }),
    );
};
