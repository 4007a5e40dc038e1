/** `fleet watch`: the fleet as it changes, and alerts when a device is off line or stuck. */
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { sleep } from '../../core/clock.ts';
import { EXIT, type Fault, failed, fault, ok, type Result } from '../../core/errors.ts';
import type { FleetLink } from '../fleet-link.ts';
import type { Profile } from '../profile.ts';
import { dueAlerts, type Told } from '../watch/alerts.ts';
import type { DeviceRow } from '../watch/device-row.ts';
import { factsOf, readApiLists } from '../watch/facts.ts';
import { openFleetView } from '../watch/fleet-view.ts';
import { execNotifier, hookNotifier, type Notify, parseHookUrl } from '../watch/notify.ts';
import { isAlarming, summarizeRows } from '../watch/summary.ts';
import { createTracker, type FleetTracker } from '../watch/tracker.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import { apiIfAny, MQTT_ONLY, type ThresholdOptions, thresholdsOf } from './fleet-desk.ts';
import { durationOption, type FleetOptions, profileOf, withFleetLink } from './fleet-options.ts';
import { summaryJson, withThresholds } from './fleet-status-command.ts';
import { changeLine, summaryLines } from './fleet-table.ts';
import { createLiveTable } from './live-table.ts';
import type { Output } from './output.ts';
import { stopOnSignal } from './stop-signal.ts';

interface WatchOptions extends FleetOptions, ApiOptions, ThresholdOptions {
  readonly once?: boolean;
  readonly listen?: number;
  readonly exec?: string;
  readonly webhook?: string;
  readonly webhookFile?: string;
  readonly poll: number;
  readonly every: number;
}

/** A device is off line or stuck. */
const EXIT_ALARM = 2;
const CONNECT_S = 60;
const POLL_S = 60;
const SWEEP_S = 5;

const positive = (text: string): number => {
  const seconds = durationOption(text);
  if (seconds > 86_400) throw new InvalidArgumentError('It is at most a day.');
  return seconds;
};

const notifiersOf = async (cli: Cli, options: WatchOptions): Promise<Result<readonly Notify[]>> => {
  const hooks: string[] = options.webhook === undefined ? [] : [options.webhook];
  if (options.webhookFile !== undefined) {
    const text = await readFile(options.webhookFile, 'utf8').catch(() => null);
    if (text === null) return failed(fault('BAD_ARGS', `${options.webhookFile} cannot be read.`, false));
    hooks.push(text.trim());
  }
  const notifiers: Notify[] =
    options.exec === undefined ? [] : [execNotifier(options.exec, cli.env, cli.clock)];
  for (const hook of hooks) {
    const url = parseHookUrl(hook);
    if (!url.ok) return url;
    notifiers.push(hookNotifier(url.value, cli.clock));
  }
  return ok(notifiers);
};

/** Tells what is due, in turn: the second call waits for the first, so that "well again" never overtakes. */
const createTeller = (cli: Cli, out: Output, tenant: string, notifiers: readonly Notify[]) => {
  let told: Told = new Map();
  let turn: Promise<void> = Promise.resolve();
  return (rows: Iterable<DeviceRow>): Promise<void> => {
    const due = dueAlerts(told, rows);
    told = due.told;
    if (due.alerts.length === 0 || notifiers.length === 0) return turn;
    const batch = { tenant, atMs: cli.clock.wall(), alerts: due.alerts };
    turn = turn.then(async () => {
      for (const result of await Promise.all(notifiers.map((notify) => notify(batch))))
        if (!result.ok) out.note(result.fault.message);
    });
    return turn;
  };
};

const printOnce = (cli: Cli, out: Output, tenant: string, tracker: FleetTracker, link: FleetLink): number => {
  // What was seen before the link went says nothing of now.
  if (link.status().state !== 'connected') return out.fail(noLink());
  const facts = tracker.facts();
  const rows = [...tracker.rows().values()].sort((a, b) => (a.device < b.device ? -1 : 1));
  const summary = summarizeRows(rows, facts);
  const bad = rows.filter(isAlarming);
  out.json(summaryJson(tenant, facts !== null, summary, cli.clock.wall()));
  for (const line of summaryLines(summary, bad, null)) out.line(line);
  return bad.length > 0 ? EXIT_ALARM : EXIT.ok;
};

const noLink = (): Fault => fault('BROKER_NET', 'The connection to the broker is lost.', true);

/** Shows changes until asked to stop. */
const follow = async (
  cli: Cli,
  out: Output,
  tracker: FleetTracker,
  link: FleetLink,
  tell: (rows: Iterable<DeviceRow>) => Promise<void>,
): Promise<number> => {
  const stopping = stopOnSignal(() => undefined);
  const isTerminal = cli.stdout.isTTY === true && !out.isJson;
  const live = isTerminal ? createLiveTable(cli.stdout) : null;
  const rows = (): readonly DeviceRow[] => [...tracker.rows().values()];
  const show = (row: DeviceRow): void => {
    const nowMs = cli.clock.wall();
    if (out.isJson)
      cli.stdout.write(`${JSON.stringify({ v: 1, at: new Date(nowMs).toISOString(), ...row })}\n`);
    else if (live === null) out.line(changeLine(row, nowMs));
  };
  for (const row of rows()) if (out.isJson || row.conditions.length > 0) show(row);
  const stopRows = tracker.onRow(show);
  let hadLink = true;
  const each = (): void => {
    const hasLink = link.status().state === 'connected';
    if (hasLink !== hadLink) out.note(hasLink ? 'connected to the broker again' : noLink().message);
    hadLink = hasLink;
    live?.draw(rows(), hasLink);
    if (hasLink) void tell(rows());
  };
  each();
  try {
    while (!stopping.signal.aborted) {
      await sleep(cli.clock, 1000, stopping.signal).catch(() => undefined);
      each();
    }
  } finally {
    stopRows();
    live?.end();
    stopping.dispose();
  }
  await tell([]);
  return EXIT.ok;
};

const watchFleet = async (
  cli: Cli,
  out: Output,
  profile: Profile,
  options: WatchOptions,
): Promise<number> => {
  const api = await apiIfAny(cli, out, profile, options);
  if (!api.ok) return out.fail(api.fault);
  const notifiers = await notifiersOf(cli, options);
  if (!notifiers.ok) return out.fail(notifiers.fault);
  const tell = createTeller(cli, out, profile.tenant, notifiers.value);
  return withFleetLink(profile, out, CONNECT_S, async (link) => {
    const lists = api.value === null ? null : await readApiLists(api.value);
    if (lists?.ok === false) return out.fail(lists.fault);
    const facts = lists === null ? null : factsOf(profile.tenant, lists.value);
    if (facts === null) out.note(MQTT_ONLY);
    const view = await openFleetView(link, cli.clock, { isLive: true, known: facts?.devices.keys() ?? [] });
    const tracker = createTracker({
      link,
      view,
      clock: cli.clock,
      thresholds: thresholdsOf(options),
      api: api.value,
      facts,
      pollMs: options.poll * 1000,
      sweepMs: options.every * 1000,
      onFault: (f) => out.note(`${f.code}: ${f.message}`),
    });
    try {
      if (options.once !== true) return await follow(cli, out, tracker, link, tell);
      if (options.listen !== undefined) await sleep(cli.clock, options.listen * 1000);
      tracker.sweep();
      if (link.status().state === 'connected') await tell(tracker.rows().values());
      return printOnce(cli, out, profile.tenant, tracker, link);
    } finally {
      tracker.close();
      view.close();
    }
  });
};

export const addFleetWatchCommand = (fleet: Command, cli: Cli): void => {
  withThresholds(
    withApiOptions(
      fleet
        .command('watch')
        .description(
          'the fleet as it changes; tells when a device is off line or stuck, and when it is well again',
        )
        .option('--json', 'print one JSON document a line')
        .option('--profile <file>', 'profile')
        .option('--broker <url>', "the broker, instead of the profile's")
        .option('--tenant <name>', "the tenant, instead of the profile's"),
    ),
  )
    .option('--once', 'look once; exit code 2 when a device is off line or stuck')
    .option(
      '--listen <duration>',
      'with --once: first listen so long, so that silent devices are found',
      positive,
    )
    .option('--offline-after <duration>', 'a device may be back so soon (default 30s)', positive)
    .option('--exec <command>', 'run a shell command with the alerts as JSON on its standard input')
    .option('--webhook <url>', 'post the alerts as JSON')
    .option('--webhook-file <file>', 'the same with a URL that is a secret')
    .option('--poll <duration>', "how often to ask ngrok's API", positive, POLL_S)
    .option('--every <duration>', 'how often to look for devices that have become silent', positive, SWEEP_S)
    .action(
      cli.action(async (options: WatchOptions) => {
        const out = cli.output(options);
        const profile = await profileOf(cli, options);
        return profile.ok ? watchFleet(cli, out, profile.value, options) : out.fail(profile.fault);
      }),
    );
};
