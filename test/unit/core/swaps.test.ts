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

test('an account with room for the endpoints once gets the old session ended first, and the new one serves them all', () => {
  const world = serving([{ name: 'web' }, { name: 'ssh' }]);
  world.edge.endpointLimit = 3;
  world.rekey('second');
  expect(world.runUntil(() => world.vault.swap === null && world.isServingAll(), MINUTE_MS)).not.toBeNull();
  expect(inUse(world)).toBe('second');
  expect(world.actions.filter(({ action }) => action.kind === 'break-first')).toHaveLength(1);
  expect(world.swaps).toMatchObject([{ end: 'committed' }]);
});

test('where there is no room even then, the old token serves again', () => {
  const world = serving([{ name: 'web' }, { name: 'ssh' }]);
  world.edge.endpointLimit = 2;
  world.rekey('second');
  expect(
    world.runUntil(() => world.actions.some(({ action }) => action.kind === 'break-first'), MINUTE_MS),
  ).not.toBeNull();
  world.edge.token('second').acl = new Set();
  expect(world.runUntil(() => world.vault.swap === null && world.isServingAll(), MINUTE_MS)).not.toBeNull();
  expect(inUse(world)).toBe('first');
});

test('endpoints of a dead session that fill the account delay the device for no longer than they live', () => {
  const world = serving([{ name: 'web' }, { name: 'ssh' }]);
  world.edge.endpointLimit = 2;
  world.powerCut(1000);
  world.run(1000);
  expect(world.runUntil(() => world.isServingAll(), MINUTE_MS)).not.toBeNull();
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

test.each(['105', '107', '300', '4018', '103', '121'])(
  'a token that the edge answers with %s is rolled back with that code, and no endpoint was ever down',
  (number) => {
    const world = serving([{ name: 'web' }, { name: 'ssh' }]);
    world.edge.token('second').answer = `ERR_NGROK_${number}`;
    world.watch(() => {
      if (!world.isServingAll()) throw new Error('an endpoint was down');
    });
    world.rekey('second');
    expect(world.runUntil(() => world.vault.swap === null, 2 * MINUTE_MS)).not.toBeNull();
    expect(world.swaps).toMatchObject([{ end: 'rolled-back', code: `ERR_NGROK_${number}` }]);
    expect(inUse(world)).toBe('first');
    // It is forgotten, not tried again.
    const { length } = world.edge.asked;
    world.run(60 * MINUTE_MS);
    expect(world.edge.asked).toHaveLength(length);
  },
);

test('an edge that answers "later" gets its time, and the token that comes through is taken', () => {
  const world = serving();
  world.edge.token('second').answer = 'ERR_NGROK_128';
  world.rekey('second');
  world.run(10_000);
  world.edge.token('second').answer = null;
  expect(
    world.runUntil(() => inUse(world) === 'second' && world.vault.swap === null, MINUTE_MS),
  ).not.toBeNull();
});

test('a process that dies again and again is started again after 0, 0.5, 1, 2, then 3 s', () => {
  const world = serving();
  const waits: number[] = [];
  for (let n = 0; n < 6; n++) {
    const diedAt = world.time.now();
    const before = world.actions.length;
    world.alive()[0]?.crash();
    expect(
      world.runUntil(() => world.actions.slice(before).some(({ action }) => action.kind === 'start'), 10_000),
    ).not.toBeNull();
    waits.push(
      Math.round(
        ((world.actions.findLast(({ action }) => action.kind === 'start')?.at ?? 0) - diedAt) / 100,
      ) * 100,
    );
    expect(world.runUntil(() => world.isServingAll(), 10_000)).not.toBeNull();
  }
  expect(waits).toEqual([0, 500, 1000, 2000, 3000, 3000]);
  // Half a minute of service, and the ladder begins at its foot.
  world.run(31_000);
  const diedAt = world.time.now();
  world.alive()[0]?.crash();
  world.run(400);
  expect(world.actions.findLast(({ action }) => action.kind === 'start')?.at).toBeGreaterThanOrEqual(diedAt);
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
