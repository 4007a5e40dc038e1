import { expect, test } from 'vitest';
import { ModelWorld } from '../../support/model-world.ts';

const MINUTE_MS = 60_000;

const serving = (
  endpoints: readonly { readonly name: string; readonly pooling?: boolean }[] = [{ name: 'web' }],
) => {
  const world = new ModelWorld({ seed: 5, endpoints });
  expect(world.runUntil(() => world.isServingAll(), MINUTE_MS)).not.toBeNull();
  return world;
};

const inUse = (world: ModelWorld): string | undefined => world.vault[world.vault.current]?.authtoken;

test('a token that is revoked gives way to the other slot within seconds', () => {
  const world = serving();
  world.rekey('second');
  expect(world.runUntil(() => world.vault.swap === null, 2 * MINUTE_MS)).not.toBeNull();
  expect(inUse(world)).toBe('second');
  world.edge.revoke('second');
  expect(world.runUntil(() => inUse(world) === 'first' && world.isServingAll(), 20_000)).not.toBeNull();
});

test('a token that is refused and the only one is tried slowly, and a new one is taken at once', () => {
  const world = serving();
  world.edge.revoke('first');
  world.run(MINUTE_MS);
  const before = world.edge.asked.length;
  world.run(60 * MINUTE_MS);
  expect(world.edge.asked.length - before).toBeLessThanOrEqual(14);
  expect(world.edge.asked.length - before).toBeGreaterThan(0);
  world.rekey('second');
  expect(world.runUntil(() => inUse(world) === 'second' && world.isServingAll(), 10_000)).not.toBeNull();
});

test('an account with room for one session gets the old one ended first', () => {
  const world = serving();
  world.edge.limit = 1;
  world.rekey('second');
  expect(
    world.runUntil(() => world.vault.swap === null && world.isServingAll(), 2 * MINUTE_MS),
  ).not.toBeNull();
  expect(inUse(world)).toBe('second');
  expect(world.actions.map(({ action }) => action.kind)).toContain('break-first');
});

test('a token of a full account is given up, and the old one serves again', () => {
  const world = serving();
  world.edge.limit = 1;
  world.edge.token('second').answer = 'ERR_NGROK_108';
  world.rekey('second');
  expect(world.runUntil(() => world.vault.swap === null, 2 * MINUTE_MS)).not.toBeNull();
  expect(world.runUntil(() => world.isServingAll(), MINUTE_MS)).not.toBeNull();
  expect(inUse(world)).toBe('first');
});

test('a token whose ACL leaves out an endpoint is rolled back, and nothing was ever down', () => {
  const world = serving([{ name: 'web' }, { name: 'ssh' }]);
  world.edge.token('second').acl = new Set(['web']);
  world.watch(() => {
    if (!world.isServingAll()) throw new Error('an endpoint was down');
  });
  world.rekey('second');
  expect(world.runUntil(() => world.vault.swap === null, 2 * MINUTE_MS)).not.toBeNull();
  expect(inUse(world)).toBe('first');
  expect(world.swaps).toMatchObject([{ end: 'rolled-back' }]);
});

test('while the edge is silent it is asked by a connect to its port, and the first answer starts one process', () => {
  const world = serving();
  world.edge.setMode('closed');
  world.run(10 * MINUTE_MS);
  const probes = world.actions.filter(({ action }) => action.kind === 'probe').length;
  expect(probes).toBeGreaterThan(100);
  expect(probes).toBeLessThan(400);
  expect(world.alive()).toEqual([]);
  world.edge.setMode('up');
  expect(world.runUntil(() => world.isServingAll(), 6000)).not.toBeNull();
});
