/** The token vault as the daemon wants it: one method for each transition. */
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import type { TokenVault as TokenVaultPort, VaultState } from '../daemon/ports.ts';
import * as slots from './token-slots.ts';
import type { TokenVault } from './token-vault.ts';

const BUSY: Fault = fault('QUEUE_FULL', 'Another swap is under way.', true);

export const asVaultPort = (vault: TokenVault): TokenVaultPort => {
  const apply = async (transition: (state: VaultState) => VaultState): Promise<Result<void>> => {
    const applied = await vault.apply(transition);
    return applied.ok ? ok(undefined) : applied;
  };
  return {
    get: () => vault.state(),
    stage: async (token, commandId) => {
      const applied = await vault.apply((state) => slots.stage(state, token, commandId));
      if (!applied.ok) return applied;
      const { swap } = applied.value;
      const isOurs = swap?.phase === 'staged' && applied.value[swap.to]?.authtoken === token.authtoken;
      return isOurs ? ok(swap.to) : failed(BUSY);
    },
    commit: () => apply(slots.commit),
    rollback: (why) => apply((state) => slots.rollback(state, why)),
    finish: () => apply(slots.finish),
    fallBack: (_, why) => apply((state) => slots.fallBack(slots.markRefused(state, state.current), why)),
    mark: (slot, to) =>
      apply((state) => (to === 'proved' ? slots.markProved(state, slot) : slots.markRefused(state, slot))),
    renumber: (generation) =>
      apply((state) => {
        const token = slots.currentToken(state);
        return token === null ? state : { ...state, [state.current]: { ...token, generation } };
      }),
  };
};
