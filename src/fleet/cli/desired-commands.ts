/** `desired get` and `desired set`: the document that says what a device should have. */
import type { Command } from 'commander';
import { EXIT, fault } from '../../core/errors.ts';
import { openDeviceBook } from '../device-book.ts';
import { readDesired } from '../read-device.ts';
import { setDesired } from '../set-desired.ts';
import type { Cli } from './cli.ts';
import {
  deviceArgument,
  type FleetOptions,
  noAnswer,
  profileOf,
  signerOf,
  withFleetLink,
  withFleetOptions,
} from './fleet-options.ts';
import { readJsonInput } from './read-input.ts';

const DEFAULT_TIMEOUT_S = 60;

export const addDesiredCommands = (program: Command, cli: Cli): void => {
  const desired = program.command('desired').description('read and write the document of a device');

  withFleetOptions(
    desired
      .command('get')
      .description('print the document that is stored for the device')
      .argument('<device>', 'device id', deviceArgument),
  )
    .option('--raw', 'print it exactly as it was published, signature and all')
    .action(
      cli.action(async (device: string, options: FleetOptions & { readonly raw?: boolean }) => {
        const out = cli.output(options);
        const profile = await profileOf(cli, options);
        if (!profile.ok) return out.fail(profile.fault);
        return withFleetLink(profile.value, out, options.timeout ?? DEFAULT_TIMEOUT_S, async (link) => {
          const stored = await readDesired(link, device);
          if (!stored.ok) return out.fail(stored.fault);
          if (stored.value === null)
            return out.fail(fault('DESIRED_CLEARED', `No document is stored for ${device}.`, false));
          const { document, text } = stored.value;
          out.json(options.raw === true ? text : document);
          out.line(options.raw === true ? text : JSON.stringify(document, null, 2));
          return EXIT.ok;
        });
      }),
    );

  withFleetOptions(
    desired
      .command('set')
      .description('publish a document with the next revision and wait until the device has it in force')
      .argument('<device>', 'device id', deviceArgument)
      .argument(
        '[file]',
        'JSON file; v, dev, rev and iat are filled in; - or nothing reads standard input',
        '-',
      ),
  ).action(
    cli.action(async (device: string, file: string, options: FleetOptions) => {
      const out = cli.output(options);
      const content = await readJsonInput(cli, file);
      if (!content.ok) return out.fail(content.fault);
      const profile = await profileOf(cli, options);
      if (!profile.ok) return out.fail(profile.fault);
      const signer = await signerOf(profile.value);
      if (!signer.ok) return out.fail(signer.fault);
      const book = openDeviceBook(profile.value.devicesDir);
      const record = await book.read(device);
      if (!record.ok) return out.fail(record.fault);
      const timeoutS = options.timeout ?? DEFAULT_TIMEOUT_S;

      return withFleetLink(profile.value, out, timeoutS, async (link) => {
        const set = await setDesired(link, {
          device,
          content: content.value,
          signer: signer.value,
          knownRev: record.value.rev,
          timeoutS,
          onRev: (rev) => {
            out.progress(`revision ${rev}`);
            // Two writers on one machine must not take one revision.
            return book.update(device, (r) => ({ ...r, rev: Math.max(r.rev, rev) }));
          },
          clock: cli.clock,
        });
        if (!set.ok) return out.fail(set.fault);
        const { value } = set;
        switch (value.kind) {
          case 'applied':
            out.json({
              v: 1,
              device,
              rev: value.rev,
              applied: value.reported.applied,
              endpoints: value.reported.endpoints,
            });
            out.line(`applied revision ${value.rev}`);
            return EXIT.ok;
          case 'refused':
            out.fail(value.fault);
            return EXIT.failed;
          case 'silent':
            return noAnswer(
              out,
              value.isAccepted
                ? `${device} has taken revision ${value.rev} but not reached it in time.`
                : `${device} has not taken revision ${value.rev} in time; it stays stored for it.`,
            );
        }
      });
    }),
  );
};
