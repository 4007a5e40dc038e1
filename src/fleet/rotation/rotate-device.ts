/** Carries one device of a rotation to its end: asks `nextStep`, does it, looks again. */
import { type Fault, fault } from '../../core/errors.ts';
import type { ApiResult } from '../api/index.ts';
import type { HeldCredential } from '../credential-tag.ts';
import type { Delivery } from '../deliver-token.ts';
import type { EndedSessions } from '../end-sessions.ts';
import type { Minted } from '../mint.ts';
import { type BlockReason, type DeviceFacts, type Goal, nextStep } from './next-step.ts';

/** What the steps need from outside. None of them rejects but for bugs and an audit log that cannot be written. */
export interface RotationPorts {
  facts(device: string): Pick<DeviceFacts, 'reported' | 'isOnline'>;
  /** Whether the token can be sealed to the device; asked before anything is made. */
  sealable(device: string, model: HeldCredential): Promise<Fault | null>;
  mint(device: string, gen: number, model: HeldCredential): Promise<ApiResult<Minted>>;
  deliver(device: string, minted: Minted, model: HeldCredential): Promise<Delivery>;
  /** Waits until the device reports this generation in good state; false when it does not in time. */
  proved(device: string, gen: number, isAnswered: boolean): Promise<boolean>;
  remove(credential: HeldCredential): Promise<ApiResult<void>>;
  endSessions(device: string, credentialIds: readonly string[]): Promise<ApiResult<EndedSessions>>;
}

/**
 * `done`: exactly one credential, and the device runs on it. `failed`: nothing was changed. `unfinished`: more than one
 * is left, or sessions are; `--resume` goes on. `skipped`: it was not its turn (off line, locked, never enrolled).
 */
export interface DeviceOutcome {
  readonly device: string;
  readonly state: 'done' | 'failed' | 'unfinished' | 'skipped';
  /** All that are known to be left, the live one first. */
  readonly credentials: readonly string[];
  readonly gen: number | null;
  readonly fault: Fault | null;
}

/** A rotation that makes a new credential more often than this for one device does not converge. */
const MOST_REKEYS = 3;

const BLOCKED: Readonly<Record<BlockReason, Fault>> = {
  'not-enrolled': fault('NOT_FINISHED', 'It has no credential of ours: enroll it first.', false),
  'never-reported': fault('NOT_FINISHED', 'It has never reported, so nothing could be proved.', true),
  offline: fault('NOT_FINISHED', 'It is off line.', true),
  locked: fault('LOCKED', 'It is locked locally.', false),
  unrestricted: fault(
    'BAD_ARGS',
    'Its credential has no ACL and may bind everything; give it one, or say --allow-unrestricted.',
    false,
  ),
};

export interface RotateDeviceOptions {
  readonly device: string;
  readonly held: readonly HeldCredential[];
  readonly goal: Goal;
  readonly mayBeUnrestricted: boolean;
}

const idsOf = (held: readonly HeldCredential[]): readonly string[] => held.map(({ id }) => id);

const sessionsFault = ({ remaining, stops }: EndedSessions): Fault =>
  fault(
    'SESSIONS_REMAIN',
    `${remaining.length} session(s) still use a deleted credential: ${remaining
      .map(({ id, ip }) => `${id} from ${ip}${stops[id] === undefined ? '' : ` (${stops[id]})`}`)
      .join(', ')}.`,
    true,
  );

/** Runs one device. */
export const rotateDevice = async (
  ports: RotationPorts,
  options: RotateDeviceOptions,
): Promise<DeviceOutcome> => {
  const { device, goal } = options;
  let held = options.held;
  let rekeys = 0;
  let triedGen = 0;
  let gen: number | null = null;
  const end = (state: DeviceOutcome['state'], why: Fault | null): DeviceOutcome => ({
    device,
    state,
    credentials: idsOf(held),
    gen,
    fault: why,
  });
  /** More than one is left when something was made that did not come to its end. */
  const stopped = (why: Fault): DeviceOutcome => end(held.length > 1 ? 'unfinished' : 'failed', why);

  for (;;) {
    const step = nextStep(
      { device, held, triedGen, ...ports.facts(device) },
      goal,
      options.mayBeUnrestricted,
    );
    if (step.kind === 'done') {
      gen = step.credential.tag.gen;
      return end('done', null);
    }
    if (step.kind === 'blocked') {
      const why = BLOCKED[step.reason];
      return step.reason === 'unrestricted'
        ? stopped(why)
        : end(held.length > 1 ? 'unfinished' : 'skipped', why);
    }
    if (step.kind === 'delete') {
      held = [step.keep, ...step.gone];
      gen = step.keep.tag.gen;
      for (const one of step.gone) {
        const gone = await ports.remove(one);
        if (!gone.ok)
          return end('unfinished', {
            ...gone.fault,
            code: 'NOT_FINISHED',
            message: `It runs on ${step.keep.id}; ${one.id} could not be deleted. ${gone.fault.message}`,
          });
        held = held.filter((other) => other !== one);
      }
      const ended = await ports.endSessions(device, idsOf(step.gone));
      if (!ended.ok) return end('unfinished', ended.fault);
      if (ended.value.remaining.length > 0) return end('unfinished', sessionsFault(ended.value));
      continue;
    }
    rekeys += 1;
    triedGen = step.gen;
    if (rekeys > MOST_REKEYS)
      return stopped(fault('NOT_FINISHED', 'Its generations change under our hands.', true));
    const unsealable = await ports.sealable(device, step.model);
    if (unsealable !== null) return stopped(unsealable);
    const minted = await ports.mint(device, step.gen, step.model);
    if (!minted.ok) {
      const { fault: why } = minted;
      return why.isUncertain ? end('unfinished', why) : stopped(why);
    }
    const fresh: HeldCredential = { ...step.model, id: minted.value.id, tag: minted.value.tag };
    held = [fresh, ...held];
    const delivery = await ports.deliver(device, minted.value, step.model);
    if (delivery.kind === 'refused') {
      // The device surely never uses it: it goes, and the device is as it was.
      const gone = await ports.remove(fresh);
      if (!gone.ok) return end('unfinished', delivery.fault);
      held = held.filter((other) => other !== fresh);
      if (delivery.fault.code === 'GEN_STALE') continue;
      return stopped(delivery.fault);
    }
    // Also when no answer came: the report alone is proof enough.
    if (!(await ports.proved(device, step.gen, delivery.kind === 'taken')))
      return end(
        'unfinished',
        delivery.kind === 'unsure'
          ? delivery.fault
          : fault('NOT_FINISHED', 'It says that it took the token, and does not report it.', true),
      );
  }
};
