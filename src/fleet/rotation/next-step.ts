/**
 * What comes next for one device of a rotation: a pure function of what ngrok has and what the device reports. Nothing
 * else is remembered, so any machine can go on where another was killed.
 *
 * The one rule that makes this safe: a credential is deleted only when the device has proved a newer one. A token that
 * was made and whose fate is unknown is never reused nor deleted by guess; a newer generation is made, after which the
 * device takes no older one (GEN_STALE), and then all older ones go.
 */
import type { CredentialTag, HeldCredential } from '../credential-tag.ts';

/** What the device says of its token. */
export interface ReportedToken {
  readonly gen: number;
  /** First digits of the token's hash; empty when it does not say. */
  readonly fp: string;
  /** False when ngrok refuses the token, or there is none. */
  readonly isGood: boolean;
  readonly isLocked: boolean;
}

export interface DeviceFacts {
  readonly device: string;
  readonly held: readonly HeldCredential[];
  /** Null when the device never reported. */
  readonly reported: ReportedToken | null;
  readonly isOnline: boolean;
  /** A generation that was tried meanwhile: the next one is higher. */
  readonly triedGen: number;
}

/** What a rotation wants: a credential made by it or later, or (null) only that exactly one is left. */
export interface Goal {
  readonly rotation: string | null;
}

export type BlockReason = 'not-enrolled' | 'never-reported' | 'offline' | 'locked' | 'unrestricted';

export type Step =
  | { readonly kind: 'done'; readonly credential: HeldCredential }
  /** The device runs on `keep`: the others go. */
  | { readonly kind: 'delete'; readonly keep: HeldCredential; readonly gone: readonly HeldCredential[] }
  /** A new credential of this generation is to be made like `model` and delivered. */
  | { readonly kind: 'rekey'; readonly gen: number; readonly model: HeldCredential }
  | { readonly kind: 'blocked'; readonly reason: BlockReason };

/** The credential that the device runs on, if what it reports leaves no doubt. */
export const liveCredential = ({ held, reported }: DeviceFacts): HeldCredential | null => {
  if (reported === null || !reported.isGood) return null;
  const byPrint = held.filter(({ tag }) => tag.fp !== undefined && tag.fp === reported.fp);
  if (byPrint.length > 0) return byPrint.length === 1 ? (byPrint[0] ?? null) : null;
  const byGeneration = held.filter(({ tag }) => tag.fp === undefined && tag.gen === reported.gen);
  return byGeneration.length === 1 ? (byGeneration[0] ?? null) : null;
};

const newest = (held: readonly HeldCredential[]): HeldCredential | undefined =>
  held.reduce<HeldCredential | undefined>(
    (best, one) => (best === undefined || one.tag.gen > best.tag.gen ? one : best),
    undefined,
  );

/** A generation that the device cannot have seen. */
const nextGeneration = ({ held, reported, triedGen }: DeviceFacts): number =>
  Math.max(1, reported?.gen ?? 0, triedGen, ...held.map(({ tag }) => tag.gen)) + 1;

/** The part of a ULID that is its time. */
const TIME_LENGTH = 10;

/** A credential made since the rotation began is as good as its own: the device was enrolled or rotated meanwhile. */
const isFresh = (tag: CredentialTag, { rotation }: Goal): boolean =>
  rotation === null ||
  tag.rotation === rotation ||
  tag.mint.slice(0, TIME_LENGTH) > rotation.slice(0, TIME_LENGTH);

const rekey = (facts: DeviceFacts, model: HeldCredential, mayBeUnrestricted: boolean): Step => {
  const { reported } = facts;
  if (reported === null) return { kind: 'blocked', reason: 'never-reported' };
  if (!facts.isOnline) return { kind: 'blocked', reason: 'offline' };
  if (reported.isLocked) return { kind: 'blocked', reason: 'locked' };
  if (model.acl.length === 0 && !mayBeUnrestricted) return { kind: 'blocked', reason: 'unrestricted' };
  return { kind: 'rekey', gen: nextGeneration(facts), model };
};

/** Decides. `mayBeUnrestricted` lets a credential without ACL be copied, which is refused otherwise. */
export const nextStep = (facts: DeviceFacts, goal: Goal, mayBeUnrestricted = false): Step => {
  const model = newest(facts.held);
  if (model === undefined) return { kind: 'blocked', reason: 'not-enrolled' };
  const live = liveCredential(facts);
  if (live === null || !isFresh(live.tag, goal)) return rekey(facts, live ?? model, mayBeUnrestricted);
  const others = facts.held.filter((one) => one !== live);
  if (others.length === 0) return { kind: 'done', credential: live };
  // One that is not older may still be on its way to the device.
  const isSettled = others.every(({ tag }) => tag.gen < live.tag.gen);
  return isSettled ? { kind: 'delete', keep: live, gone: others } : rekey(facts, live, mayBeUnrestricted);
};

/** The newest rotation over `scope` among credentials: the one that `--resume` goes on with. Null when there was none. */
export const newestRotation = (held: readonly HeldCredential[], scope: string): string | null =>
  held.reduce<string | null>(
    (best, { tag: { rotation, scope: over } }) =>
      rotation !== undefined && over === scope && (best === null || rotation > best) ? rotation : best,
    null,
  );
