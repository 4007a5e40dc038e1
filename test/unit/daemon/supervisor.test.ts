import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ok } from '../../../src/core/errors.ts';
import type { SwapRecord, TokenSlot, TokenVault, VaultState } from '../../../src/daemon/ports.ts';
import { createSupervisor, type Supervisor } from '../../../src/daemon/supervisor.ts';
import { flushPromises, manualClock } from '../../support/manual-clock.ts';

const token = (generation: number): TokenSlot => ({
  generation,
  authtoken: `token-${generation}`,
  credentialId: '',
  fingerprint: `0000000${generation}`,
  source: 'rekey',
  state: 'candidate',
});

/** A supervisor over a vault that says when it changes; the time of a staged swap to slot b is over. */
const world = (): { readonly supervisor: Supervisor; readonly told: readonly string[] } => {
  const told: string[] = [];
  const swap: SwapRecord = { to: 'b', phase: 'staged', commandId: '' };
  let state: VaultState = { a: token(1), b: token(2), current: 'a', swap, seedDigest: '' };
  const never = (): Promise<never> => Promise.reject(new Error('not in this test'));
  const vault: TokenVault = {
    get: () => state,
    rollback: async () => {
      state = { ...state, b: null, swap: null };
      told.push('vault');
      await flushPromises();
      return ok(undefined);
    },
    stage: never,
    commit: never,
    finish: never,
    fallBack: never,
    mark: never,
    renumber: never,
  };
  const supervisor = createSupervisor({
    clock: manualClock(),
    log: pino({ level: 'silent' }),
    vault,
    tunnels: {
      start: () => undefined,
      bind: () => undefined,
      unbind: () => undefined,
      setClosesAt: () => undefined,
      drain: () => undefined,
      kill: () => undefined,
      adopt: () => Promise.resolve([]),
      release: () => Promise.resolve(),
      onEvent: () => undefined,
      processes: () => [],
    },
    probe: () => Promise.resolve(false),
    desired: () => ({
      session: true,
      endpoints: new Map(),
      current: state.current,
      usable: { a: state.a !== null, b: state.b !== null },
      swap: state.swap === null ? null : { to: 'b', phase: 'staged', breakFirst: false, deadlineAt: 0 },
      epoch: 0,
    }),
    drainMs: 1000,
    changed: () => undefined,
    onEvent: () => undefined,
    onAction: ({ kind }) => told.push(`issued ${kind}`),
    onDone: ({ kind }) => told.push(`done ${kind}`),
  });
  return { supervisor, told };
};

test('why a swap is given up is told before the vault shows that it is over', async () => {
  const { supervisor, told } = world();
  supervisor.begin();
  await flushPromises();
  await flushPromises();
  supervisor.halt();
  expect(told.slice(0, 3)).toEqual(['issued rollback', 'vault', 'done rollback']);
});
