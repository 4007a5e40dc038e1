import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fault } from '../../../src/core/errors.ts';
import type { VaultState } from '../../../src/daemon/ports.ts';
import {
  commit,
  currentToken,
  EMPTY_VAULT,
  fallBack,
  finish,
  markProved,
  markRefused,
  type NewToken,
  otherSlot,
  rollback,
  seed,
  stage,
} from '../../../src/vault/token-slots.ts';
import { openTokenVault, readVault } from '../../../src/vault/token-vault.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

const token = (n: number, source: 'file' | 'rekey' = 'rekey'): NewToken => ({
  authtoken: `token-${n}`,
  generation: n,
  credentialId: `cr_${n}`,
  source,
});
const seeded = (): VaultState => seed(EMPTY_VAULT, 'token-1', 'digest-1').state;

type Step =
  | { readonly do: 'stage' | 'seed'; readonly n: number }
  | { readonly do: 'commit' | 'finish' | 'rollback' | 'fallBack' | 'restart' }
  | { readonly do: 'proved' | 'refused'; readonly slot: 'a' | 'b' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('stage', 'seed'), n: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ do: fc.constantFrom('commit', 'finish', 'rollback', 'fallBack', 'restart') }),
  fc.record({ do: fc.constantFrom('proved', 'refused'), slot: fc.constantFrom('a', 'b') }),
);

const apply = (state: VaultState, s: Step): VaultState => {
  switch (s.do) {
    case 'stage':
      return stage(state, token(s.n), 'command');
    case 'seed':
      return seed(state, `token-${s.n}`, `digest-${s.n}`).state;
    case 'commit':
      return commit(state);
    case 'finish':
      return finish(state);
    case 'rollback':
      return rollback(state);
    case 'fallBack':
      return fallBack(state);
    case 'restart': {
      const stored = readVault(JSON.parse(JSON.stringify(state)));
      if (stored === undefined) throw new Error('a vault that cannot be read back');
      return stored;
    }
    case 'proved':
      return markProved(state, s.slot);
    case 'refused':
      return markRefused(state, s.slot);
  }
};

const proved = (state: VaultState): number =>
  [state.a, state.b].filter((slot) => slot?.state === 'proved').length;

describe('token slots', () => {
  it('never lose the last proved token but by the edge refusing it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state = EMPTY_VAULT;
        for (const s of steps) {
          const next = apply(state, s);
          if (proved(state) > 0 && s.do !== 'refused') expect(proved(next)).toBeGreaterThan(0);
          expect(readVault(JSON.parse(JSON.stringify(next)))).toEqual(next);
          if (next.swap?.phase === 'staged') expect(next.current).toBe(otherSlot(next.swap.to));
          if (next.swap?.phase === 'committed') expect(next.current).toBe(next.swap.to);
          state = next;
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('keep at least one token once there was one', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const end = steps.reduce(apply, seeded());
        expect(end.a ?? end.b).not.toBeNull();
        expect(end.swap === null || currentToken(end) !== null || end.swap.phase === 'staged').toBe(true);
      }),
    );
  });

  it('go from one token to the next: staged, committed, finished', () => {
    const first = markProved(seeded(), 'a');
    const staged = stage(first, token(2), 'cmd');
    expect(staged).toMatchObject({ current: 'a', swap: { to: 'b', phase: 'staged', commandId: 'cmd' } });
    expect(staged.b).toMatchObject({ generation: 2, state: 'candidate', source: 'rekey' });
    const committed = commit(staged);
    expect(committed).toMatchObject({ current: 'b', swap: { phase: 'committed' } });
    expect(currentToken(committed)?.state).toBe('proved');
    expect(committed.a?.authtoken).toBe('token-1');
    expect(finish(committed).swap).toBeNull();
    expect(commit(finish(committed))).toEqual(finish(committed));
  });

  it('stay as they were when a swap is rolled back', () => {
    const first = markProved(seeded(), 'a');
    expect(rollback(stage(first, token(2), 'cmd'))).toEqual(first);
    expect(rollback(commit(stage(first, token(2), 'cmd')))).toMatchObject({ current: 'b' });
  });

  it('give up the refused token, not the older one that worked', () => {
    const two = finish(commit(stage(markProved(seeded(), 'a'), token(2), 'cmd')));
    const refused = markRefused(two, 'b');
    const staged = stage(refused, token(3), 'cmd-3');
    expect(staged).toMatchObject({ current: 'a', swap: { to: 'b' } });
    expect(staged.a?.authtoken).toBe('token-1');
    expect(fallBack(refused).current).toBe('a');
    expect(fallBack(markRefused(refused, 'a')).current).toBe('b');
    expect(fallBack(two)).toBe(two);
  });

  it('take one swap at a time', () => {
    const staged = stage(markProved(seeded(), 'a'), token(2), 'cmd');
    expect(stage(staged, token(3), 'other')).toBe(staged);
    expect(seed(staged, 'token-9', 'digest-9')).toEqual({ kind: 'busy', state: staged });
  });
});

describe('the seed file', () => {
  it('is generation 1 at first, unproved', () => {
    expect(seed(EMPTY_VAULT, 'token-1', 'd1')).toMatchObject({
      kind: 'seeded',
      state: { a: { generation: 1, state: 'candidate', source: 'file' }, current: 'a', seedDigest: 'd1' },
    });
    expect(seed(EMPTY_VAULT, '', 'd1').kind).toBe('unchanged');
  });

  it('is left alone from then on, also after a rekey, until its content changes', () => {
    const rekeyed = finish(commit(stage(markProved(seeded(), 'a'), token(2), 'cmd')));
    expect(seed(rekeyed, 'token-1', 'digest-1')).toEqual({ kind: 'unchanged', state: rekeyed });
    const changed = seed(rekeyed, 'token-7', 'digest-7');
    expect(changed).toMatchObject({
      kind: 'staged',
      state: { current: 'b', swap: { to: 'a', phase: 'staged', commandId: '' }, seedDigest: 'digest-7' },
    });
    expect(changed.state.a).toMatchObject({ authtoken: 'token-7', generation: 2, source: 'file' });
    expect(seed(rollback(changed.state), 'token-7', 'digest-7').kind).toBe('unchanged');
  });

  it('that holds a refused token is told of until it holds another, and tried again when it is written anew', () => {
    const first = markProved(seeded(), 'a');
    const why = fault('NGROK_AUTH_REFUSED', 'The authtoken was revoked.', false);
    const refused = rollback(seed(first, 'token-7', 'digest-7').state, why);
    expect(refused).toMatchObject({ b: null, seedRefusal: { message: 'The authtoken was revoked.' } });
    expect(readVault(JSON.parse(JSON.stringify(refused)))).toEqual(refused);
    expect(seed(refused, 'token-7', 'digest-7')).toEqual({ kind: 'unchanged', state: refused });
    const again = seed(refused, 'token-7', 'digest-7', true);
    expect(again).toMatchObject({ kind: 'staged', state: { b: { authtoken: 'token-7' } } });
    for (const { state } of [again, seed(refused, 'token-1', 'digest-1')])
      expect(state.seedRefusal).toBeUndefined();
    expect(seed(first, 'token-1', 'digest-1', true)).toEqual({ kind: 'unchanged', state: first });
    // A rekey has a result of its own.
    expect(rollback(stage(first, token(2), 'cmd'), why)).toEqual(first);
    const inUse = finish(commit(seed(first, 'token-7', 'digest-7').state));
    expect(fallBack(markRefused(inUse, 'b'), why)).toMatchObject({
      current: 'a',
      seedRefusal: { message: why.message },
    });
  });

  it('that names the token in use changes nothing but what was read', () => {
    const again = seed({ ...seeded(), seedDigest: 'other' }, 'token-1', 'digest-1');
    expect(again).toMatchObject({ kind: 'unchanged', state: { seedDigest: 'digest-1', swap: null } });
  });
});

describe('token vault', () => {
  it('holds the state before or after a transition, whichever operation was cut', async () => {
    const run = async (disk: MemoryDisk): Promise<readonly VaultState[]> => {
      const vault = await openTokenVault({ dir: '/state', disk });
      const states = [EMPTY_VAULT];
      const tasks = [
        () => vault.seed('token-1'),
        () => vault.apply((s) => markProved(s, 'a')),
        () => vault.apply((s) => stage(s, token(2), 'cmd')),
        () => vault.apply(commit),
        () => vault.apply(finish),
      ];
      for (const task of tasks) {
        if (!(await task()).ok) break;
        states.push(vault.state());
      }
      return states;
    };
    const whole = new MemoryDisk();
    const path = await run(whole);
    expect(path).toHaveLength(6);
    for (let k = 0; k < whole.operations; k++) {
      for (const unsynced of ['kept', 'empty', 'half', 'zeros'] as const) {
        const disk = new MemoryDisk();
        disk.failAt(k);
        const confirmed = await run(disk);
        disk.powerOn(unsynced, 'undone');
        const vault = await openTokenVault({ dir: '/state', disk });
        expect([path[confirmed.length - 1], path[confirmed.length]], `cut at ${k}`).toContainEqual(
          vault.state(),
        );
      }
    }
  });

  it('leaves everything as it was when the disk refuses', async () => {
    const disk = new MemoryDisk();
    const vault = await openTokenVault({ dir: '/state', disk });
    await vault.seed('token-1');
    const before = vault.state();
    disk.break('EROFS');
    const refused = await vault.apply((s) => stage(s, token(2), 'cmd'));
    expect(refused.ok ? '' : refused.fault.code).toBe('STORE_FAILED');
    expect(refused.ok ? '' : refused.fault.message).not.toContain('token-');
    expect(vault.state()).toEqual(before);
    disk.break(undefined);
    expect((await openTokenVault({ dir: '/state', disk })).state()).toEqual(before);
  });

  it('runs overlapping transitions one after the other', async () => {
    const vault = await openTokenVault({ dir: '/state', disk: new MemoryDisk() });
    await Promise.all([
      vault.seed('token-1'),
      vault.apply((s) => markProved(s, 'a')),
      vault.apply((s) => stage(s, token(2), 'cmd')),
      vault.apply(commit),
    ]);
    expect(vault.state()).toMatchObject({ current: 'b', b: { state: 'proved' }, a: { state: 'proved' } });
  });
});
