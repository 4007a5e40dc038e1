/**
 * Two slots for authtokens, as pure transitions: the one in use and the one being tried. Whatever happens in between,
 * the last token that worked is not overwritten before another one works.
 */

import type { Fault } from '../core/errors.ts';
import type { Slot } from '../core/tunnel-event.ts';
import type { SwapRecord, TokenSlot, VaultState } from '../daemon/ports.ts';
import { tokenFingerprint } from '../protocol/token-fingerprint.ts';

/** A token to be kept, before it has a state. `authtoken` is a secret. */
export interface NewToken {
  readonly authtoken: string;
  readonly generation: number;
  readonly credentialId: string;
  readonly source: 'file' | 'rekey';
}

/** Before any token. */
export const EMPTY_VAULT: VaultState = { a: null, b: null, current: 'a', swap: null, seedDigest: '' };

/** The other of the two. */
export const otherSlot = (slot: Slot): Slot => (slot === 'a' ? 'b' : 'a');

/** The slot tried first at boot. */
export const currentToken = (state: VaultState): TokenSlot | null => state[state.current];

const candidate = (token: NewToken): TokenSlot => ({
  ...token,
  fingerprint: tokenFingerprint(token.authtoken),
  state: 'candidate',
});

/** How dear a slot's content is; the cheaper one is given up for a new token. */
const worthOf = (slot: TokenSlot | null): number =>
  slot === null ? 0 : { refused: 1, candidate: 2, proved: 3 }[slot.state];

/**
 * Puts a new token beside the one in use. It goes where the less valuable content is; if that is the slot in use (its
 * token was refused and the older one worked), the older one comes into use. Unchanged while another swap is on its
 * way: end that one first.
 */
export const stage = (state: VaultState, token: NewToken, commandId: string): VaultState => {
  if (state.swap !== null) return state;
  const other = otherSlot(state.current);
  const to = worthOf(state[other]) > worthOf(state[state.current]) ? state.current : other;
  return {
    ...state,
    [to]: candidate(token),
    current: otherSlot(to),
    swap: { to, phase: 'staged', commandId },
  };
};

/** The staged token works: it is in use from here on, the old one stays until the next swap. */
export const commit = (state: VaultState): VaultState => {
  const { swap } = state;
  const staged = swap?.phase === 'staged' ? state[swap.to] : null;
  if (swap === null || staged === null) return state;
  const committed: SwapRecord = { ...swap, phase: 'committed' };
  return { ...state, [swap.to]: { ...staged, state: 'proved' }, current: swap.to, swap: committed };
};

/** The swap is over: the old session is drained. */
export const finish = (state: VaultState): VaultState =>
  state.swap?.phase === 'committed' ? { ...state, swap: null } : state;

/** A token that a technician brought leaves word of why it is not in use, for whoever looks at the device. */
const withRefusal = (state: VaultState, slot: Slot, why: Fault | undefined): VaultState => {
  const token = state[slot];
  if (token?.source !== 'file' || why === undefined) return state;
  return { ...state, seedRefusal: { fingerprint: token.fingerprint, message: why.message } };
};

/**
 * The staged token is given up: its slot is emptied, the token in use stays. If it is the only one that ever worked it
 * is kept beside the one in use, to fall back to.
 */
export const rollback = (state: VaultState, why?: Fault): VaultState => {
  const { swap } = state;
  if (swap?.phase !== 'staged') return state;
  const isLastProved = state[swap.to]?.state === 'proved' && state[otherSlot(swap.to)]?.state !== 'proved';
  const told = withRefusal(state, swap.to, why);
  return isLastProved ? { ...told, swap: null } : { ...told, [swap.to]: null, swap: null };
};

/** A session with this token came up. */
export const markProved = (state: VaultState, slot: Slot): VaultState => withState(state, slot, 'proved');

/** The edge refused this token. It is kept, as the edge may take it again. */
export const markRefused = (state: VaultState, slot: Slot): VaultState => withState(state, slot, 'refused');

const withState = (state: VaultState, slot: Slot, to: TokenSlot['state']): VaultState => {
  const token = state[slot];
  return token === null || token.state === to ? state : { ...state, [slot]: { ...token, state: to } };
};

/**
 * Takes the other token into use when the one in use was refused and the other was not. Unchanged when there is none
 * such, and while a swap is on its way.
 */
export const fallBack = (state: VaultState, why?: Fault): VaultState => {
  const other = otherSlot(state.current);
  const isRefused = currentToken(state)?.state === 'refused';
  const isUsable = state[other] !== null && state[other]?.state !== 'refused';
  return state.swap === null && isRefused && isUsable
    ? { ...withRefusal(state, state.current, why), current: other }
    : state;
};

/** What reading the seed file brought. */
export type Seeding =
  /** The file is as it was, or names a token that is here already. */
  | { readonly kind: 'unchanged'; readonly state: VaultState }
  /** The first token of this device: in use, generation 1. */
  | { readonly kind: 'seeded'; readonly state: VaultState }
  /** A technician put another token there: staged, to be tried as a rekey is. */
  | { readonly kind: 'staged'; readonly state: VaultState }
  /** Another swap is on its way; read again after it. */
  | { readonly kind: 'busy'; readonly state: VaultState };

/**
 * Takes the content of the seed file into account. From the second token on the generation stays what it was: the
 * fleet counts generations, a technician replaces the token within one. The same content is tried again only where it
 * was refused and somebody wrote it anew: what was wrong at ngrok may be mended.
 */
export const seed = (
  state: VaultState,
  authtoken: string,
  seedDigest: string,
  isWrittenAnew = false,
): Seeding => {
  const { seedRefusal, ...rest } = state;
  const isTriedAgain = isWrittenAnew && seedRefusal !== undefined;
  if (authtoken === '' || (seedDigest === state.seedDigest && !isTriedAgain))
    return { kind: 'unchanged', state };
  const noted: VaultState = { ...rest, seedDigest };
  if (state.a === null && state.b === null) {
    const token = candidate({ authtoken, generation: 1, credentialId: '', source: 'file' });
    return { kind: 'seeded', state: { ...noted, a: token, current: 'a', swap: null } };
  }
  if (currentToken(state)?.authtoken === authtoken) return { kind: 'unchanged', state: noted };
  if (state.swap !== null) return { kind: 'busy', state };
  const generation = currentToken(state)?.generation ?? 1;
  return {
    kind: 'staged',
    state: stage(noted, { authtoken, generation, credentialId: '', source: 'file' }, ''),
  };
};
