/** `rotate`: new credentials for a device, a site or the fleet, with a canary, in waves. */
import { type Command, Option } from 'commander';
import { EXIT, fault } from '../../core/errors.ts';
import { type RotationReport, rotateFleet } from '../rotation/rotate.ts';
import type { DeviceOutcome } from '../rotation/rotate-device.ts';
import type { RotationProgress } from '../rotation/run-rotation.ts';
import { resolveScope, type Scope } from '../rotation/scope.ts';
import { DEFAULT_MAX_FAILURES, DEFAULT_WAVES, parseAmount, parseWaves } from '../rotation/waves.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import {
  countOption,
  durationOption,
  type FleetOptions,
  withFleetLink,
  withFleetOptions,
} from './fleet-options.ts';
import type { Output } from './output.ts';
import { stopOnSignal } from './stop-signal.ts';
import { signingDeskOf } from './with-fleet.ts';

interface RotateOptions extends FleetOptions, ApiOptions {
  readonly resume?: boolean;
  readonly waves: string;
  readonly maxFailures: string;
  readonly concurrency: number;
  readonly soak?: number;
  readonly sessionsTimeout: number;
  readonly mode?: 'overlap' | 'break-first';
  readonly allowUnrestricted?: boolean;
}

const DEFAULT_CONCURRENCY = 20;
/** A swap's result follows the drain of the old session. */
const DEFAULT_DEVICE_TIMEOUT_S = 180;
const DEFAULT_SESSIONS_S = 60;
/** Fleets up to this size get a line per device; larger ones only for what went wrong. */
const LINE_PER_DEVICE = 20;
const PLAIN_PROGRESS_MS = 10_000;
const TERMINAL_PROGRESS_MS = 200;

const scopeWord = (scope: Scope): string =>
  scope.kind === 'fleet' ? 'the fleet' : scope.kind === 'site' ? `site ${scope.site}` : scope.device;

/** One device in one line. */
export const outcomeLine = ({ device, state, credentials, gen, fault: why }: DeviceOutcome): string => {
  const ids = credentials.join(' and ');
  if (state === 'done') return `${device}  done: generation ${gen ?? '?'}, ${ids}`;
  const code = why?.ngrokCode === undefined ? (why?.code ?? '') : `${why.code} ${why.ngrokCode}`;
  const has = state === 'unfinished' && ids !== '' ? ` (has ${ids})` : '';
  return `${device}  ${state}${has}: ${code}: ${why?.message ?? ''}`;
};

const span = (seconds: number): string =>
  seconds < 90
    ? `${seconds} s`
    : seconds < 5400
      ? `${Math.round(seconds / 60)} min`
      : `${(seconds / 3600).toFixed(1)} h`;

/** The state of a rotation in one line. */
export const progressLine = (p: RotationProgress): string => {
  const ended = p.done + p.failed + p.unfinished + p.skipped;
  const bad = [
    p.failed > 0 ? `${p.failed} failed` : '',
    p.unfinished > 0 ? `${p.unfinished} unfinished` : '',
    p.skipped > 0 ? `${p.skipped} skipped` : '',
    p.underWay > 0 ? `${p.underWay} under way` : '',
  ].filter((part) => part !== '');
  const { perMinute, leftS } = p.pace;
  const pace =
    perMinute === 0 ? [] : [`${perMinute < 10 ? perMinute.toFixed(1) : Math.round(perMinute)}/min`];
  const left = leftS === null || ended === p.total ? [] : [`${span(leftS)} left`];
  return [`wave ${p.wave}/${p.waves}`, `${ended}/${p.total}`, ...bad, ...pace, ...left].join(', ');
};

const reportJson = (report: RotationReport): unknown => {
  const count = (state: DeviceOutcome['state']): number =>
    report.outcomes.filter((outcome) => outcome.state === state).length;
  return {
    v: 1,
    rotation: report.rotation,
    total: report.total,
    done: count('done'),
    failed: count('failed'),
    unfinished: count('unfinished'),
    skipped: count('skipped'),
    untouched: report.untouched,
    stopped: report.stopped,
    proved: report.isProved,
    fault: report.fault,
    devices: report.outcomes.map(({ device, state, credentials, gen, fault: why }) => ({
      device,
      state,
      generation: gen,
      credentials,
      fault: why,
    })),
  };
};

const STOPPED: Readonly<Record<NonNullable<RotationReport['stopped']>, string>> = {
  failures: 'stopped: too many devices failed; --resume goes on',
  asked: 'stopped as asked; --resume goes on',
  fault: 'stopped: nothing could go on; --resume does when it is mended',
};

/** 0 all done; 1 something failed or is half done; 75 the rest was not there and can be done later. */
const exitOf = (report: RotationReport): number => {
  const isAll = report.outcomes.every(({ state }) => state === 'done') && report.untouched.length === 0;
  if (isAll && report.isProved) return EXIT.ok;
  const isOnlyLater =
    report.isProved &&
    report.stopped === null &&
    report.outcomes.every(
      ({ state, fault: why }) => state === 'done' || (state === 'skipped' && why?.retryable === true),
    );
  return isOnlyLater ? EXIT.timeout : EXIT.failed;
};

const printEnd = (out: Output, report: RotationReport): number => {
  out.json(reportJson(report));
  const done = report.outcomes.filter(({ state }) => state === 'done').length;
  out.line(
    `${done} of ${report.total} done${report.isProved && done > 0 ? ', each with exactly one credential, proved' : ''}`,
  );
  if (report.stopped !== null) out.note(STOPPED[report.stopped]);
  if (report.fault !== null) out.note(`${report.fault.code}: ${report.fault.message}`);
  return exitOf(report);
};

/** Prints what happens while it happens. */
const createDisplay = (cli: Cli, out: Output, isTerminal: boolean) => {
  let total = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    plan: (devices: number): void => {
      total = devices;
    },
    device: (outcome: DeviceOutcome, progress: RotationProgress): void => {
      if (outcome.state !== 'done' || total <= LINE_PER_DEVICE) out.line(outcomeLine(outcome));
      const gapMs = isTerminal ? TERMINAL_PROGRESS_MS : PLAIN_PROGRESS_MS;
      const isLast = progress.done + progress.failed + progress.unfinished + progress.skipped === total;
      if (total <= 1 || (cli.clock.now() - lastMs < gapMs && !isLast)) return;
      lastMs = cli.clock.now();
      out.progress(progressLine(progress));
    },
  };
};

export const addRotateCommand = (program: Command, cli: Cli): void => {
  withApiOptions(
    withFleetOptions(
      program
        .command('rotate')
        .description('give devices new credentials and delete the old ones, without a gap')
        .argument('<target>', 'a device, a site, or fleet (device:ID and site:NAME say which)'),
    ),
  )
    .option('--resume', 'go on with the newest rotation of this target, from whatever machine')
    .option('--waves <list>', 'how far each wave goes, numbers or percentages', DEFAULT_WAVES)
    .option(
      '--max-failures <n>',
      'stop when more devices than this failed, number or percentage',
      DEFAULT_MAX_FAILURES,
    )
    .option('--concurrency <n>', 'devices at a time', countOption, DEFAULT_CONCURRENCY)
    .option('--soak <duration>', 'wait between waves, and look at the devices again', durationOption)
    .option(
      '--sessions-timeout <duration>',
      'how long sessions of a deleted credential may stay',
      durationOption,
      DEFAULT_SESSIONS_S,
    )
    .addOption(
      new Option('--mode <mode>', 'order of the swap on the device').choices(['overlap', 'break-first']),
    )
    .option('--allow-unrestricted', 'also copy credentials that have no ACL')
    .action(
      cli.action(async (target: string, options: RotateOptions) => {
        const out = cli.output(options);
        const waves = parseWaves(options.waves);
        if (!waves.ok) return out.fail(waves.fault);
        const maxFailures = parseAmount(options.maxFailures);
        if (maxFailures === undefined || options.concurrency === 0)
          return out.fail(
            fault('BAD_ARGS', '--max-failures is a number or a percentage, --concurrency at least 1.', false),
          );
        const desk = await signingDeskOf(cli, out, options);
        if (!desk.ok) return out.fail(desk.fault);
        const { api, tenant, profile } = desk.value;
        const scope = await resolveScope(api, tenant, target);
        if (!scope.ok) return out.fail(scope.fault);
        const timeoutS = options.timeout ?? DEFAULT_DEVICE_TIMEOUT_S;
        const display = createDisplay(cli, out, cli.stdout.isTTY === true);
        const stopping = stopOnSignal(() =>
          out.note('devices under way come to their end; once more ends at once'),
        );
        try {
          return await withFleetLink(profile, out, timeoutS, async (link) => {
            const report = await rotateFleet(
              { ...desk.value, link, clock: cli.clock },
              {
                scope: scope.value,
                isResumed: options.resume === true,
                waves: waves.value,
                maxFailures,
                concurrency: options.concurrency,
                soakMs: (options.soak ?? 0) * 1000,
                deviceTimeoutS: timeoutS,
                sessionsMs: options.sessionsTimeout * 1000,
                mayBeUnrestricted: options.allowUnrestricted === true,
                stop: stopping.signal,
                ...(options.mode === undefined ? {} : { mode: options.mode }),
                onPlan: ({ rotation, devices }) => {
                  display.plan(devices);
                  const what =
                    rotation === null ? 'no rotation to go on with, leftovers only' : `rotation ${rotation}`;
                  out.line(`${scopeWord(scope.value)}: ${devices} device(s), ${what}`);
                },
                onWave: (wave, count, devices) => {
                  if (count > 1) out.line(`wave ${wave} of ${count}: ${devices} device(s)`);
                },
                onDevice: display.device,
              },
            );
            return report.ok ? printEnd(out, report.value) : out.fail(report.fault);
          });
        } finally {
          stopping.dispose();
        }
      }),
    );
};
