/** One swap of the cut device, struck at one or more of its boundaries, and what must hold then. */
import { type Cut, CutDevice, type CutKind } from './cut-device.ts';
import { seededRandom } from './model-time.ts';

export const SWAP_KINDS = ['good', 'refused', 'narrow', 'full', 'crowded', 'silent'] as const;
/**
 * What the swap meets: a good token; one that the edge refuses; one whose ACL leaves out an endpoint; an account with
 * room for one session, or for no more endpoints than are wanted; an edge that falls silent in the middle.
 */
export type SwapKind = (typeof SWAP_KINDS)[number];

export const BESIDE = ['nothing', 'stop', 'lease'] as const;
/** What comes in the middle: a `stop` of an endpoint that is on, or a `start` of one that is off, with a lease. */
export type Beside = (typeof BESIDE)[number];

export interface CutSwap {
  readonly kind: SwapKind;
  readonly seed: number;
  readonly beside: Beside;
  readonly cuts: readonly Cut[];
}

const ENDPOINTS = [
  { name: 'web', pooling: true },
  { name: 'ssh', pooling: true },
  { name: 'plc', pooling: false },
];
const LEASED = { name: 'cam', pooling: true, on: false };
const LEASE_MS = 120_000;
/** Drains, and a restart that was under way at its end. */
const CLOSED_WITHIN_MS = 20_000;
const SERVING_WITHIN_MS = 120_000;
const ENDED_WITHIN_MS = 300_000;
const SILENT_MS = 70_000;
const BESIDE_AFTER_MS = 900;

interface Begun {
  readonly device: CutDevice;
  readonly rekeyId: string;
  besideId: string | null;
  leaseEndsAt: number;
}

const serves = (device: CutDevice, without: readonly string[] = []): boolean =>
  ENDPOINTS.every(({ name }) => without.includes(name) || device.copies(name) > 0);

const begin = async ({ kind, seed, beside }: Omit<CutSwap, 'cuts'>, cuts: readonly Cut[]): Promise<Begun> => {
  const device = new CutDevice(seed, [...ENDPOINTS, LEASED]);
  const isUp = (): boolean => serves(device) && device.vault()?.a?.state === 'proved';
  if (!(await device.until(isUp, SERVING_WITHIN_MS))) device.fail('does not start');
  await device.until(() => false, 3000);
  if (kind === 'refused') device.edge.token('second').valid = false;
  if (kind === 'narrow') device.edge.token('second').acl = new Set(['web', 'plc']);
  if (kind === 'full') device.edge.limit = 1;
  if (kind === 'crowded') device.edge.endpointLimit = ENDPOINTS.length + (beside === 'lease' ? 1 : 0);
  device.count(cuts);
  const begun: Begun = { device, rekeyId: device.rekey('second', 2), besideId: null, leaseEndsAt: 0 };
  if (kind === 'silent')
    device.time.after(400, () => {
      device.edge.setMode('dead');
      device.time.after(SILENT_MS, () => device.edge.setMode('up'));
    });
  if (beside !== 'nothing')
    device.time.after(BESIDE_AFTER_MS, () => {
      begun.leaseEndsAt = device.time.now() + LEASE_MS;
      begun.besideId =
        beside === 'stop'
          ? device.command('stop', { ep: 'ssh' })
          : device.command('start', { ep: LEASED.name, lease_s: LEASE_MS / 1000 });
    });
  return begun;
};

const isOver = ({ device, rekeyId, besideId }: Begun, beside: Beside): boolean => {
  const isTold = (id: string | null): boolean => id !== null && device.broker.ends(id).length > 0;
  const vault = device.vault();
  return (
    isTold(rekeyId) &&
    (beside === 'nothing' || isTold(besideId)) &&
    vault !== null &&
    vault.swap === null &&
    device.processes() === 1
  );
};

/** The boundaries of a swap that nothing disturbs, in order. */
export const boundariesOf = async (swap: Omit<CutSwap, 'cuts'>): Promise<readonly string[]> => {
  const begun = await begin(swap, []);
  const { device } = begun;
  if (!(await device.until(() => isOver(begun, swap.beside), ENDED_WITHIN_MS))) device.fail('has no end');
  return [...device.boundaries];
};

/** Which token may be in use at the end. */
const checkEnd = ({ device, rekeyId }: Begun, { kind, beside }: CutSwap): void => {
  const ends = device.broker.ends(rekeyId);
  const told = new Set(ends.map((end) => end.status));
  if (told.size !== 1) device.fail(`tells ${[...told].join(' and ')} of one command`);
  const vault = device.vault();
  const inUse = vault?.[vault.current];
  const isSwapped = inUse?.authtoken === 'second';
  const [end] = ends;
  if (end?.status === 'succeeded' && !isSwapped) device.fail('tells of a swap that did not take place');
  if (end?.status !== 'succeeded' && isSwapped)
    device.fail(`tells ${end?.status} ${end?.code} of a swap that took place`);
  if (isSwapped && (inUse.state !== 'proved' || inUse.generation !== 2))
    device.fail('uses a token that is not proved');
  if ((kind === 'refused' || (kind === 'narrow' && beside !== 'stop')) && isSwapped)
    device.fail(`keeps a ${kind} token`);
  if (end?.status === 'failed' && end.code === undefined) device.fail('says no reason');
};

/**
 * Lives through it. Throws with the last boundaries when no token on disk works, an endpoint that can be open twice was
 * without service though only the supervisor went, what is wanted is not served again, or the answer is not the truth.
 */
export const liveThroughCuts = async (swap: CutSwap): Promise<void> => {
  const begun = await begin(swap, swap.cuts);
  const { device } = begun;
  const isGapless =
    swap.kind !== 'full' &&
    swap.kind !== 'crowded' &&
    swap.kind !== 'silent' &&
    swap.cuts.every((c) => c.kind === 'supervisor');
  const look = (): void => {
    const vault = device.vault();
    const tokens = [vault?.a, vault?.b].flatMap((slot) => (slot == null ? [] : [slot.authtoken]));
    if (tokens.length > 0 && !tokens.some((token) => device.edge.token(token).valid))
      device.fail('holds no authtoken that works');
    if (isGapless && device.copies('web') === 0) device.fail('web was without service');
  };
  if (!(await device.until(() => isOver(begun, swap.beside), ENDED_WITHIN_MS, look)))
    device.fail(`has no end: ${JSON.stringify(device.broker.results)}`);
  device.disarm();
  // One that ended the daemon too often is given up, and says so.
  const isDone = begun.besideId !== null && device.broker.ends(begun.besideId)[0]?.status === 'succeeded';
  const down = isDone && swap.beside === 'stop' ? ['ssh'] : [];
  if (!(await device.until(() => serves(device, down), SERVING_WITHIN_MS, look)))
    device.fail('does not serve again');
  if (isDone && swap.beside === 'lease' && device.time.now() < begun.leaseEndsAt - CLOSED_WITHIN_MS) {
    const isOpen = (): boolean => device.copies(LEASED.name) > 0;
    if (!(await device.until(isOpen, begun.leaseEndsAt - device.time.now(), look)))
      device.fail('lost a lease');
  }
  // What was told stays told, and nothing moves any more.
  const restMs = Math.max(30_000, begun.leaseEndsAt + CLOSED_WITHIN_MS - device.time.now());
  await device.until(() => false, restMs, look);
  checkEnd(begun, swap);
  if (!serves(device, down)) device.fail('serves no longer');
  for (const name of down) if (device.copies(name) > 0) device.fail(`${name} was stopped and is open`);
  if (device.copies(LEASED.name) > 0) device.fail('an endpoint is open after the end of its lease');
};

export const CUT_KINDS: readonly CutKind[] = ['power', 'supervisor', 'process', 'edge'];

/** One cut, at a boundary; what the disk shows after it goes round with the number. */
export const cutAt = (kind: CutKind, at: number): Cut => ({
  kind,
  at,
  unsynced: (['kept', 'empty', 'half', 'zeros'] as const)[at % 4] ?? 'kept',
  entries: at % 3 === 0 ? 'undone' : 'kept',
});

/** The schedule of a seed: a swap of any kind with one to three cuts, also into the recovery from the one before. */
export const scheduleOf = async (seed: number): Promise<CutSwap> => {
  const random = seededRandom(seed);
  const any = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const swap = { kind: any(SWAP_KINDS), seed, beside: any(BESIDE) };
  const { length } = await boundariesOf(swap);
  const cuts = Array.from({ length: any([1, 1, 2, 3]) }, () =>
    cutAt(any(CUT_KINDS), 1 + Math.floor(random() * length * 1.3)),
  );
  return { ...swap, cuts };
};
