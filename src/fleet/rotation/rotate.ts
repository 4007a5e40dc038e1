/** `rotate` as a library: gathers the facts, runs the waves, proves the end against ngrok's own list. */
import { type Fault, failed, fault, LockkeeperError, ok, type Result } from '../../core/errors.ts';
import { newCommandId } from '../../protocol/ids.ts';
import type { HeldCredential } from '../credential-tag.ts';
import { type DeviceView, openDeviceView } from '../device-view.ts';
import { newestRotation } from './next-step.ts';
import type { DeviceOutcome } from './rotate-device.ts';
import { factsFrom, type RotateFleetPorts, type RotationSettings, rotationPorts } from './rotation-ports.ts';
import { type RotationProgress, type RotationResult, runRotation } from './run-rotation.ts';
import { byDevice, listHeld, nothingFor, type Scope, scopeText } from './scope.ts';
import type { Amount } from './waves.ts';

export interface RotateFleetOptions extends RotationSettings {
  /** Go on with the newest rotation over this scope; without one, only finish what is half done. */
  readonly isResumed: boolean;
  readonly waves: readonly Amount[];
  readonly maxFailures: Amount;
  readonly concurrency: number;
  readonly soakMs: number;
  readonly mayBeUnrestricted: boolean;
  /** No device begins after it aborts. */
  readonly stop?: AbortSignal;
  /** Told once, before the first device. `rotation` is null when nothing but leftovers is cleaned up. */
  readonly onPlan?: (plan: { readonly rotation: string | null; readonly devices: number }) => void;
  readonly onDevice?: (outcome: DeviceOutcome, progress: RotationProgress) => void;
  readonly onWave?: (wave: number, waves: number, devices: number) => void;
}

export interface RotationReport extends RotationResult {
  readonly rotation: string | null;
  readonly total: number;
  /** True when ngrok's list was read again at the end, and every device that counts as done has exactly one credential. */
  readonly isProved: boolean;
}

/** Devices that answer come first: a canary that is off line proves nothing. */
const ordered = (
  devices: Map<string, HeldCredential[]>,
  view: DeviceView,
): ReadonlyMap<string, readonly HeldCredential[]> => {
  const rank = (device: string): number => (view.get(device).presence?.online === true ? 0 : 1);
  return new Map([...devices].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)));
};

const unproved = (outcome: DeviceOutcome, ids: readonly string[]): DeviceOutcome => ({
  ...outcome,
  state: 'unfinished',
  credentials: ids,
  fault: fault('NOT_FINISHED', `ngrok lists ${ids.length} credentials of it.`, true),
});

/** Reads ngrok's list once more: what counts as done must have exactly the one credential that the device runs on. */
const prove = async (
  ports: RotateFleetPorts,
  scope: Scope,
  result: RotationResult,
): Promise<{
  readonly outcomes: readonly DeviceOutcome[];
  readonly isProved: boolean;
  readonly fault: Fault | null;
}> => {
  const listed = await listHeld(ports.api, ports.link.tenant, scope);
  if (!listed.ok) return { outcomes: result.outcomes, isProved: false, fault: listed.fault };
  const devices = byDevice(listed.value);
  const outcomes = result.outcomes.map((outcome) => {
    if (outcome.state !== 'done') return outcome;
    const ids = (devices.get(outcome.device) ?? []).map(({ id }) => id);
    return ids.length === 1 && ids[0] === outcome.credentials[0] ? outcome : unproved(outcome, ids);
  });
  return { outcomes, isProved: true, fault: null };
};

/**
 * Rotates the credentials of a scope. A fault means that nothing was begun; everything after that is in the report.
 */
export const rotateFleet = async (
  ports: RotateFleetPorts,
  options: RotateFleetOptions,
): Promise<Result<RotationReport>> => {
  const { api, link, clock } = ports;
  const { scope } = options;
  const listed = await listHeld(api, link.tenant, scope);
  if (!listed.ok) return listed;
  const devices = byDevice(listed.value);
  if (devices.size === 0) return failed(nothingFor(scope));
  const goal = {
    rotation: options.isResumed ? newestRotation(listed.value, scopeText(scope)) : newCommandId(clock),
  };
  let view: DeviceView;
  try {
    view = await openDeviceView(link, [...devices.keys()], clock);
  } catch (error) {
    if (error instanceof LockkeeperError) return failed(error.fault);
    throw error;
  }
  try {
    options.onPlan?.({ rotation: goal.rotation, devices: devices.size });
    const result = await runRotation(rotationPorts(ports, options, view, goal.rotation), {
      devices: ordered(devices, view),
      goal,
      waves: options.waves,
      maxFailures: options.maxFailures,
      concurrency: options.concurrency,
      soakMs: options.soakMs,
      recheck: (names) =>
        names.filter((device) => {
          const { isOnline, reported } = factsFrom(view, device);
          return !isOnline || reported?.isGood !== true;
        }),
      mayBeUnrestricted: options.mayBeUnrestricted,
      clock,
      ...(options.stop === undefined ? {} : { stop: options.stop }),
      ...(options.onDevice === undefined ? {} : { onDevice: options.onDevice }),
      ...(options.onWave === undefined ? {} : { onWave: options.onWave }),
    });
    const end = await prove(ports, scope, result);
    return ok({
      ...result,
      outcomes: end.outcomes,
      fault: result.fault ?? end.fault,
      rotation: goal.rotation,
      total: devices.size,
      isProved: end.isProved,
    });
  } finally {
    view.close();
  }
};
