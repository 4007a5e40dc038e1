/** `fleet status`: every device once, joined with what ngrok knows. */
import { type Command, Option } from 'commander';
import { EXIT } from '../../core/errors.ts';
import type { FleetLink } from '../fleet-link.ts';
import { factsOf, readApiLists } from '../watch/facts.ts';
import { openFleetView } from '../watch/fleet-view.ts';
import { type FleetSummary, isAlarming, summarize } from '../watch/summary.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import { apiIfAny, MQTT_ONLY, type ThresholdOptions, thresholdsOf } from './fleet-desk.ts';
import { durationOption, type FleetOptions, profileOf, withFleetLink } from './fleet-options.ts';
import { summaryLines } from './fleet-table.ts';
import type { Output } from './output.ts';

interface StatusOptions extends FleetOptions, ApiOptions, ThresholdOptions {
  readonly problems?: boolean;
}

const TIMEOUT_S = 60;

/** The document of `--json`. */
export const summaryJson = (tenant: string, hasApi: boolean, summary: FleetSummary, nowMs: number) => ({
  v: 1,
  at: new Date(nowMs).toISOString(),
  tenant,
  sources: { mqtt: true, api: hasApi },
  total: summary.total,
  counts: summary.counts,
  versions: summary.versions,
  alarming: summary.rows.filter(isAlarming).map(({ device }) => device),
  devices: summary.rows,
  conditions: summary.conditions,
});

const print = (cli: Cli, out: Output, summary: FleetSummary, options: StatusOptions): void => {
  const rows =
    options.problems === true
      ? summary.rows.filter(({ conditions }) => conditions.some(({ severity }) => severity !== 'info'))
      : summary.rows;
  const isTerminal = cli.stdout.isTTY === true;
  for (const line of summaryLines(summary, rows, isTerminal ? (process.stdout.columns ?? 120) : null))
    out.line(line);
};

/** Options that both `status` and `watch` take. */
export const withThresholds = (command: Command): Command =>
  command
    .option(
      '--max-token-age <duration>',
      'authtokens older than this are named (default 90d)',
      durationOption,
    )
    .option(
      '--stuck-after <duration>',
      'a device whose session is down for longer is stuck (default 2m)',
      durationOption,
    )
    .addOption(
      new Option(
        '--health-interval <duration>',
        'how often devices send health, until they have shown it (default 5m)',
      ).argParser(durationOption),
    );

export const addFleetStatusCommand = (fleet: Command, cli: Cli): void => {
  withThresholds(
    withApiOptions(
      fleet
        .command('status')
        .description('every device: on line, session, endpoints, authtoken, and what is wrong')
        .option('--json', 'print JSON')
        .option('--profile <file>', 'profile')
        .option('--broker <url>', "the broker, instead of the profile's")
        .option('--tenant <name>', "the tenant, instead of the profile's")
        .option('--problems', 'only devices with problems'),
    ),
  ).action(
    cli.action(async (options: StatusOptions) => {
      const out = cli.output(options);
      const profile = await profileOf(cli, options);
      if (!profile.ok) return out.fail(profile.fault);
      const api = await apiIfAny(cli, out, profile.value, options);
      if (!api.ok) return out.fail(api.fault);
      const { tenant } = profile.value;
      return withFleetLink(profile.value, out, TIMEOUT_S, async (link: FleetLink) => {
        const lists = api.value === null ? null : await readApiLists(api.value);
        // Nothing is shown of a list that is not whole.
        if (lists?.ok === false) return out.fail(lists.fault);
        const facts = lists === null ? null : factsOf(tenant, lists.value);
        const view = await openFleetView(link, cli.clock, {
          isLive: false,
          known: facts?.devices.keys() ?? [],
        });
        const nowMs = cli.clock.wall();
        const summary = summarize(view.devices(), facts, {
          ...thresholdsOf(options),
          nowMs,
          listeningSinceMs: null,
        });
        view.close();
        out.json(summaryJson(tenant, facts !== null, summary, nowMs));
        if (!out.isJson) print(cli, out, summary, options);
        if (facts === null) out.note(MQTT_ONLY);
        return EXIT.ok;
      });
    }),
  );
};
