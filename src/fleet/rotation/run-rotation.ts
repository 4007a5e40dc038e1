/** A rotation over many devices: wave after wave, so many at a time, until all are done or too many failed. */
import { type Clock, sleep } from '../../core/clock.ts';
import { type Fault, LockkeeperError } from '../../core/errors.ts';
import type { HeldCredential } from '../credential-tag.ts';
import type { Goal } from './next-step.ts';
import { type DeviceOutcome, type RotationPorts, rotateDevice } from './rotate-device.ts';
import { type Amount, mayGoOn, type Pace, paceOf, planWaves } from './waves.ts';

/** A moment of a rotation, for a display. */
export interface RotationProgress {
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly unfinished: number;
  readonly skipped: number;
  readonly underWay: number;
  /** Counted from 1. */
  readonly wave: number;
  readonly waves: number;
  readonly pace: Pace;
}

export type StopReason =
  /** More devices failed than were allowed. */
  | 'failures'
  /** Somebody asked for it; what was under way has ended. */
  | 'asked'
  /** Something that concerns every device, as a full disk. */
  | 'fault';

export interface RotationResult {
  readonly outcomes: readonly DeviceOutcome[];
  /** Devices whose turn did not come. */
  readonly untouched: readonly string[];
  /** Null when every wave ran. */
  readonly stopped: StopReason | null;
  readonly fault: Fault | null;
}

export interface RunRotationOptions {
  /** The credentials of every device, by device, in the order of the rotation. */
  readonly devices: ReadonlyMap<string, readonly HeldCredential[]>;
  readonly goal: Goal;
  readonly waves: readonly Amount[];
  readonly maxFailures: Amount;
  readonly concurrency: number;
  /** Pause between two waves. */
  readonly soakMs: number;
  /** Looks at the devices of a wave again after the pause; gives those that went bad. */
  readonly recheck?: (devices: readonly string[]) => readonly string[];
  readonly mayBeUnrestricted: boolean;
  readonly clock: Clock;
  /** No device begins after it; those under way come to their end. */
  readonly stop?: AbortSignal;
  readonly onDevice?: (outcome: DeviceOutcome, progress: RotationProgress) => void;
  readonly onWave?: (wave: number, waves: number, devices: number) => void;
}

/** Runs it. Never rejects but for bugs. */
export const runRotation = async (
  ports: RotationPorts,
  options: RunRotationOptions,
): Promise<RotationResult> => {
  const { clock, devices, stop } = options;
  const waves = planWaves([...devices.keys()], options.waves);
  const outcomes = new Map<string, DeviceOutcome>();
  const doneAtMs: number[] = [];
  const startMs = clock.now();
  const bad = new Set<string>();
  let underWay = 0;
  let lost: Fault | null = null;

  const counts = { done: 0, failed: 0, unfinished: 0, skipped: 0 };
  const settle = (outcome: DeviceOutcome): void => {
    outcomes.set(outcome.device, outcome);
    counts[outcome.state] += 1;
    if (outcome.state === 'failed' || outcome.state === 'unfinished') bad.add(outcome.device);
  };
  const progress = (wave: number): RotationProgress => ({
    total: devices.size,
    ...counts,
    underWay,
    wave: wave + 1,
    waves: waves.length,
    pace: paceOf(doneAtMs, startMs, clock.now(), devices.size - outcomes.size),
  });
  const isStopped = (wave: number): StopReason | null => {
    if (lost !== null) return 'fault';
    if (stop?.aborted === true) return 'asked';
    const tally = { total: devices.size, failed: bad.size, wave, waves: waves.length };
    return mayGoOn(tally, options.maxFailures) ? null : 'failures';
  };

  const runOne = async (device: string, wave: number): Promise<void> => {
    underWay += 1;
    try {
      const outcome = await rotateDevice(ports, {
        device,
        held: devices.get(device) ?? [],
        goal: options.goal,
        mayBeUnrestricted: options.mayBeUnrestricted,
      });
      settle(outcome);
      doneAtMs.push(clock.now());
    } catch (error) {
      if (!(error instanceof LockkeeperError)) throw error;
      lost ??= error.fault;
      settle({ device, state: 'unfinished', credentials: [], gen: null, fault: error.fault });
    } finally {
      underWay -= 1;
    }
    const outcome = outcomes.get(device);
    if (outcome !== undefined) options.onDevice?.(outcome, progress(wave));
  };

  const runWave = async (members: readonly string[], wave: number): Promise<void> => {
    const rest = members.values();
    const work = async (): Promise<void> => {
      for (const device of rest) {
        await runOne(device, wave);
        if (isStopped(wave) !== null) return;
      }
    };
    if (isStopped(wave) !== null) return;
    // One iterator for all workers: each device goes to whoever is free.
    await Promise.all(Array.from({ length: Math.min(options.concurrency, members.length) }, work));
  };

  const soak = async (members: readonly string[]): Promise<void> => {
    if (options.soakMs > 0) await sleep(clock, options.soakMs, stop).catch(() => undefined);
    const settled = members.filter((device) => outcomes.get(device)?.state === 'done');
    for (const device of options.recheck?.(settled) ?? []) bad.add(device);
  };

  let stopped: StopReason | null = null;
  for (const [wave, members] of waves.entries()) {
    options.onWave?.(wave + 1, waves.length, members.length);
    await runWave(members, wave);
    stopped = isStopped(wave);
    if (stopped === null && wave < waves.length - 1) {
      await soak(members);
      stopped = isStopped(wave);
    }
    if (stopped !== null) break;
  }
  const untouched = [...devices.keys()].filter((device) => !outcomes.has(device));
  // The last device was through: nothing was held back, whatever was asked meanwhile.
  if (untouched.length === 0 && stopped === 'asked') stopped = null;
  return { outcomes: [...outcomes.values()], untouched, stopped, fault: lost };
};
