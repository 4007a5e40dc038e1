/** What the cloud learns of authtokens: each refused one once, each swap, and that a new one is needed. */
import type { Clock } from '../core/clock.ts';
import type { Fault } from '../core/errors.ts';
import type { Slot } from '../core/tunnel-event.ts';
import type { Log } from './log.ts';
import type { TokenVault } from './ports.ts';
import type { EventDraft } from './transitions.ts';

/** A fleet that cannot help now is asked again at this pace. */
const REQUEST_GAP_MS = 900_000;

export interface CredentialWatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: TokenVault;
  /** The generation that the desired document asks for. */
  wantedGeneration(): number | undefined;
  event(draft: EventDraft): void;
}

export interface CredentialWatch {
  /** A session came up on this slot's token. */
  accepted(slot: Slot): void;
  /** ngrok says no to this slot's token. One that was only being tried leaves the device with the one it has. */
  refused(slot: Slot, f: Fault): void;
  /** The vault's current token is another one now. */
  swapped(): void;
  /** Asks the fleet for a token, at most every 15 minutes. */
  request(): void;
}

export const createCredentialWatch = (options: CredentialWatchOptions): CredentialWatch => {
  const { clock, log, vault, event } = options;
  /** Prints of tokens whose refusal was told and that have not worked since. */
  const toldRefused = new Set<string>();
  let lastRequestAt = Number.NEGATIVE_INFINITY;

  const request = (): void => {
    if (clock.now() - lastRequestAt < REQUEST_GAP_MS) return;
    lastRequestAt = clock.now();
    const state = vault.get();
    const want = options.wantedGeneration();
    event({
      type: 'cred.request',
      data: { gen: state[state.current]?.generation ?? 0, ...(want === undefined ? {} : { want }) },
    });
  };

  return {
    request,
    accepted: (slot) => {
      toldRefused.delete(vault.get()[slot]?.fingerprint ?? '');
      if (slot === vault.get().current) void vault.mark(slot, 'proved');
    },
    refused: (slot, f) => {
      const state = vault.get();
      const token = state[slot];
      if (token === null) return;
      if (!toldRefused.has(token.fingerprint)) {
        toldRefused.add(token.fingerprint);
        const isGuest = slot !== state.current && token.generation === state[state.current]?.generation;
        event({
          type: 'cred.refused',
          code: f.code,
          data: {
            // A technician's token is tried under the number of the one in use, which is not what was refused.
            ...(isGuest ? {} : { gen: token.generation }),
            fp: token.fingerprint,
            ...(f.ngrokCode === undefined ? {} : { ngrokCode: f.ngrokCode }),
          },
        });
      }
      if (slot === state.current) request();
    },
    swapped: () => {
      const state = vault.get();
      const slot = state[state.current];
      event({ type: 'cred.swapped', data: { gen: slot?.generation ?? 0, fp: slot?.fingerprint ?? '' } });
      log.info({ generation: slot?.generation }, 'authtoken swapped');
    },
  };
};
