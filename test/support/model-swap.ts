/** One swap in the working model, cut at each of its moments in turn. */
import { ModelWorld } from './model-world.ts';

export const CUTS = ['power', 'supervisor', 'process', 'edge'] as const;
export type Cut = (typeof CUTS)[number];

export interface CutSwap {
  readonly kind: 'good' | 'refused' | 'narrow';
  readonly seed: number;
  readonly cut: Cut;
  /** Milliseconds from the rekey to the cut. */
  readonly afterMs: number;
}

const SERVING_WITHIN_MS = 90_000;
const SWAP_WITHIN_MS = 200_000;

const begin = (seed: number, kind: CutSwap['kind']): ModelWorld => {
  const world = new ModelWorld({ seed, endpoints: [{ name: 'web' }, { name: 'ssh' }] });
  if (world.runUntil(() => world.isServingAll(), SERVING_WITHIN_MS) === null) world.fail('does not start');
  if (kind === 'refused') world.edge.token('second').valid = false;
  if (kind === 'narrow') world.edge.token('second').acl = new Set(['web']);
  world.rekey('second');
  return world;
};

/** The moments at which something happens in an undisturbed swap, in milliseconds from the rekey. */
export const momentsOf = (kind: CutSwap['kind'], seed: number): readonly number[] => {
  const world = begin(seed, kind);
  const since = world.time.now();
  const moments = new Set<number>([0]);
  world.watch(() => moments.add(world.time.now() - since));
  if (world.runUntil(() => world.vault.swap === null, SWAP_WITHIN_MS) === null) world.fail('has no end');
  return [...moments];
};

const strike = (world: ModelWorld, cut: Cut): void => {
  if (cut === 'power') world.powerCut(5000);
  else if (cut === 'supervisor') world.supervisorCrash(1000);
  else if (cut === 'edge') world.edge.cutAll();
  else world.alive().at(-1)?.crash();
};

/** Lives through a swap that is cut once. Throws when not everything is served again, or the swap has no clear end. */
export const liveThroughCut = ({ kind, seed, cut, afterMs }: CutSwap): void => {
  const world = begin(seed, kind);
  world.watch(() => {
    const { a, b } = world.vault;
    const isGood = [a, b].some((slot) => slot !== null && world.edge.token(slot.authtoken).valid);
    if (!isGood) world.fail('holds no authtoken that works');
  });
  world.run(afterMs);
  strike(world, cut);
  world.run(5500);
  if (world.runUntil(() => world.isServingAll(), SERVING_WITHIN_MS) === null)
    world.fail(`does not serve again after ${cut} at ${afterMs} ms of a swap to a ${kind} token`);
  if (world.runUntil(() => world.vault.swap === null, SWAP_WITHIN_MS) === null)
    world.fail(`leaves a swap to a ${kind} token open after ${cut} at ${afterMs} ms`);
  const inUse = world.vault[world.vault.current]?.authtoken;
  if (kind !== 'good' && inUse !== 'first') world.fail(`keeps a ${kind} token after ${cut} at ${afterMs} ms`);
};
