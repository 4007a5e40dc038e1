/** `rekey`: unseals the token, waits for its turn, and tells how the swap ended. */
import { type Fault, fault, type Result } from '../core/errors.ts';
import type { RekeyArgs } from '../protocol/command-schema.ts';
import type { SealedToken } from '../protocol/seal.ts';
import { tokenFingerprint } from '../protocol/token-fingerprint.ts';
import type { Intent } from './intent.ts';
import type { TokenVault } from './ports.ts';
import { endedWith, type Outcome, succeeded } from './result-book.ts';
import type { SwapEnd, Swaps } from './swaps.ts';

export interface RekeyOptions {
  readonly intent: Intent;
  readonly vault: TokenVault;
  readonly swaps: Swaps;
  unseal(sealed: string, gen: number): Promise<Result<SealedToken>>;
}

export interface Rekey {
  /** Null when its generation may be accepted. */
  precheck(args: RekeyArgs): Fault | null;
  run(id: string, args: RekeyArgs, signal: AbortSignal): Promise<Outcome>;
}

export const createRekey = ({ intent, vault, swaps, unseal }: RekeyOptions): Rekey => {
  const heldGeneration = (): { readonly generation: number; readonly fingerprint: string } => {
    const state = vault.get();
    return state[state.current] ?? { generation: 0, fingerprint: '' };
  };

  const staleFault = (gen: number, held: number): Fault =>
    fault('GEN_STALE', `Generation ${gen} is not newer than ${held}, which this device holds.`, false);

  const rekeyOutcome = (end: SwapEnd, gen: number): Outcome => {
    const { figures } = end;
    const out = {
      gen: end.fault === null ? gen : heldGeneration().generation,
      served: figures.served,
      dropped: figures.dropped,
      drain_ms: figures.drainMs,
      cut: figures.cut.reduce((sum, c) => sum + c.count, 0),
      gap_ms: figures.gapMs,
      ...(figures.cut.length === 0
        ? {}
        : { streams: figures.cut.map((c) => `${c.endpoint}:${c.kind}:${c.count}`).join(' ') }),
    };
    return end.fault === null ? succeeded(out) : endedWith('failed', end.fault, out);
  };

  const rekey = async (id: string, args: RekeyArgs, signal: AbortSignal): Promise<Outcome> => {
    const opened = await unseal(args.sealed, args.gen);
    if (!opened.ok) return endedWith('failed', opened.fault, { gen: heldGeneration().generation });
    const turn = await swaps.turn(signal);
    if (turn === null) return endedWith('cancelled', fault('CANCELLED', 'Cancelled before it began.', false));
    try {
      const held = heldGeneration();
      const isSame = held.fingerprint === tokenFingerprint(opened.value.tok);
      if (args.gen === held.generation && isSame) return succeeded({ gen: held.generation, noop: true });
      if (args.gen <= held.generation) return endedWith('rejected', staleFault(args.gen, held.generation));
      if (isSame && vault.get()[vault.get().current]?.state === 'proved') {
        const saved = await vault.renumber(args.gen);
        return saved.ok ? succeeded({ gen: args.gen, noop: true }) : endedWith('failed', saved.fault);
      }
      if (intent.isParked()) await intent.park(false);
      const candidate = {
        generation: args.gen,
        authtoken: opened.value.tok,
        credentialId: opened.value.cid,
        source: 'rekey' as const,
      };
      const end = await swaps.swap(candidate, id, args.mode === 'break-first');
      return end.ok
        ? rekeyOutcome(end.value, args.gen)
        : endedWith('failed', end.fault, { gen: held.generation });
    } finally {
      turn();
    }
  };

  return {
    precheck: ({ gen }) => {
      const held = heldGeneration().generation;
      return gen < held ? staleFault(gen, held) : null;
    },
    run: rekey,
  };
};
