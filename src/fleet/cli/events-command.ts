/** `events setup`: ngrok's events about agents and credentials, sent to where the operator keeps logs. */
import { type Command, Option } from 'commander';
import { EXIT, failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord, parseStrictJson } from '../../protocol/strict-json.ts';
import { readSecret } from '../../vault/secret-file.ts';
import type { EventTarget } from '../api/index.ts';
import { AUDIT_SOURCES, DEFAULT_SOURCES, setUpEvents, TARGETS } from '../events/setup.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import type { FleetOptions } from './fleet-options.ts';
import { deskOf } from './with-fleet.ts';

interface EventsCliOptions extends FleetOptions, ApiOptions {
  readonly to?: (typeof TARGETS)[number];
  readonly targetFile?: string;
  readonly name: string;
  readonly audit?: boolean;
  readonly source: readonly string[];
  readonly dryRun?: boolean;
}

/** The target's own fields, from a file: they hold keys. */
const targetOf = async (cli: Cli, options: EventsCliOptions): Promise<Result<EventTarget | null>> => {
  const bad = (message: string) => failed(fault('BAD_ARGS', message, false));
  if (options.to === undefined && options.targetFile === undefined) return ok(null);
  if (options.to === undefined || options.targetFile === undefined)
    return bad('A destination needs --to and --target-file.');
  const secret = await readSecret(options.targetFile, cli.env);
  if (!secret.ok) return secret;
  const json = parseStrictJson(secret.value.text);
  if (!json.ok || !isRecord(json.value)) return bad(`${options.targetFile} holds no JSON object.`);
  return ok({ [options.to]: json.value });
};

export const addEventsCommand = (program: Command, cli: Cli): void => {
  const events = program.command('events').description("ngrok's own events");
  withApiOptions(
    events
      .command('setup')
      .description('make or correct the destination and the subscription; run again it changes nothing')
      .addOption(new Option('--to <target>', 'kind of destination').choices([...TARGETS]))
      .option('--target-file <file>', "the destination's fields as JSON, with its keys (0600)")
      .option('--name <name>', 'to tell several apart', 'fleet')
      .option('--audit', 'also what anybody does to the account')
      .option(
        '--source <type>',
        'one more source, as http_request_complete.v0; may be repeated',
        (value: string, before: readonly string[]) => [...before, value],
        [],
      )
      .option('--dry-run', 'show what would change, and change nothing')
      .option('--json', 'print JSON')
      .option('--profile <file>', 'profile')
      .option('--tenant <name>', "the tenant, instead of the profile's"),
  ).action(
    cli.action(async (options: EventsCliOptions) => {
      const out = cli.output(options);
      const target = await targetOf(cli, options);
      if (!target.ok) return out.fail(target.fault);
      const desk = await deskOf(cli, out, options);
      if (!desk.ok) return out.fail(desk.fault);
      const { api, tenant } = desk.value;
      const sources = [
        ...new Set([...DEFAULT_SOURCES, ...(options.audit === true ? AUDIT_SOURCES : []), ...options.source]),
      ];
      const ask = { tenant, name: options.name, sources, target: target.value };
      if (target.value === null) {
        const looked = await setUpEvents(api, { ...ask, isDryRun: true });
        if (!looked.ok) return out.fail(looked.fault);
        if (looked.value.destination === 'create')
          return out.fail(fault('BAD_ARGS', 'There is no destination yet: --to and --target-file.', false));
      }
      const done = await setUpEvents(api, { ...ask, isDryRun: options.dryRun === true });
      if (!done.ok) return out.fail(done.fault);
      const { destination, subscription, add, remove, destinationId, subscriptionId } = done.value;
      out.json({ v: 1, dryRun: options.dryRun === true, ...done.value });
      out.line(`destination   ${destination}${destinationId === null ? '' : ` ${destinationId}`}`);
      out.line(`subscription  ${subscription}${subscriptionId === null ? '' : ` ${subscriptionId}`}`);
      for (const type of add) out.line(`  + ${type}`);
      for (const type of remove) out.line(`  - ${type}`);
      if (options.dryRun === true) out.line('nothing was changed');
      return EXIT.ok;
    }),
  );
};
