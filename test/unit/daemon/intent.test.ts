import { expect, test } from 'vitest';
import { ok } from '../../../src/core/errors.ts';
import { createIntent, type Intent } from '../../../src/daemon/intent.ts';
import { createKeeper } from '../../../src/daemon/keeper.ts';
import type { Store } from '../../../src/daemon/ports.ts';
import { type DesiredRecord, initialRuntime, readRuntime } from '../../../src/daemon/records.ts';
import { openTokenVault } from '../../../src/vault/token-vault.ts';
import { asVaultPort } from '../../../src/vault/vault-port.ts';
import { bindOf, endpointSpec } from '../../support/endpoint-spec.ts';
import { MANUAL_EPOCH_MS, manualClock } from '../../support/manual-clock.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

const MINUTE_MS = 60_000;

/** What survives restarts; each `boot` is one life, with a clock that begins anew and a wall clock that may be wrong. */
const device = async (ttlS: number) => {
  const kept = new Map<string, string>();
  const store = <T>(name: string, initial: T): Store<T> => ({
    get: () => (kept.has(name) ? (JSON.parse(kept.get(name) ?? '') as T) : initial),
    save: (value) => {
      kept.set(name, JSON.stringify(value));
      return Promise.resolve(ok(undefined));
    },
    recovered: 'no',
  });
  const vault = asVaultPort(await openTokenVault({ dir: '/state', disk: new MemoryDisk() }));
  const spec = endpointSpec('web', { on: true, ttlS, origin: 'document' });
  const boot = (wallMs: number) => {
    const clock = manualClock(wallMs);
    const intent: Intent = createIntent({
      clock,
      fileEndpoints: [],
      documentEndpoints: () => ({ specs: [spec], denied: new Map() }),
      resolve: (declared) => ok(bindOf(declared)),
      windowState: () => undefined,
      runtime: createKeeper(store('runtime', initialRuntime)),
      document: store<DesiredRecord | null>('document', null),
      vault,
      swapDeadlineMs: MINUTE_MS,
    });
    return { clock, intent, isWanted: () => intent.read().wanted.get('web')?.up };
  };
  const accept = (life: ReturnType<typeof boot>, digest: string) =>
    life.intent.accept({
      document: { v: 1, dev: 'device-1', rev: 1, iat: 0, endpoints: [] },
      digest,
      acceptedAtMs: life.clock.wall(),
    });
  return { boot, accept, runtime: () => JSON.parse(kept.get('runtime') ?? '{}') as unknown };
};

test('a document that lives ten minutes does so over restarts whose clock is always behind', async () => {
  const { boot, accept, runtime } = await device(600);
  let life = boot(MANUAL_EPOCH_MS);
  await accept(life, 'first');
  for (const minute of [4, 8]) {
    await life.clock.advance(4 * MINUTE_MS);
    expect(life.isWanted(), `after ${minute} minutes`).toBe(true);
    await life.intent.keepLeases();
    expect(readRuntime(runtime())).toBeDefined();
    life = boot(0);
  }
  expect(life.isWanted()).toBe(true);
  await life.clock.advance(2 * MINUTE_MS);
  expect(life.isWanted()).toBe(false);
  // The next one has a life of its own.
  await accept(life, 'second');
  expect(life.isWanted()).toBe(true);
  await life.intent.keepLeases();
  await life.clock.advance(10 * MINUTE_MS);
  expect(life.isWanted()).toBe(false);
});

test('time without power counts where the clock is right', async () => {
  const { boot, accept } = await device(600);
  const life = boot(MANUAL_EPOCH_MS);
  await accept(life, 'first');
  await life.intent.keepLeases();
  expect(boot(MANUAL_EPOCH_MS + 9 * MINUTE_MS).isWanted()).toBe(true);
  expect(boot(MANUAL_EPOCH_MS + 10 * MINUTE_MS).isWanted()).toBe(false);
});
