import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ApiFault, ApiResult } from '../../../../src/fleet/api/index.ts';
import type { HeldCredential } from '../../../../src/fleet/credential-tag.ts';
import type { Delivery } from '../../../../src/fleet/deliver-token.ts';
import { type RotationPorts, rotateDevice } from '../../../../src/fleet/rotation/rotate-device.ts';

/**
 * A small working model of ngrok, the broker's queue and one device. Every step of the operator's program may be its
 * last, before or after the work was done; messages to the device may arrive late, and answers be lost.
 */
class Killed extends Error {}

interface Chance {
  /** 0: goes well. 1: killed before. 2: killed after. 3: fails. 4: done, and the answer lost. */
  next(): number;
}

const OUTAGE: ApiFault = {
  code: 'API_UNAVAILABLE',
  message: 'model',
  retryable: true,
  status: 500,
  operationId: null,
  isUncertain: true,
};

const createModel = () => {
  let credentials: HeldCredential[] = [];
  let ids = 0;
  const device = { gen: 1, credential: '' };
  /** Commands that the broker still holds for the device. */
  let late: { gen: number; id: string }[] = [];

  const make = (gen: number, rotation?: string): HeldCredential => {
    ids += 1;
    const made: HeldCredential = {
      id: `cr_${ids}`,
      tag: {
        tenant: 'acme',
        device: 'd',
        gen,
        mint: rotation ?? '01JDJ0000000000000000000AA',
        ...(rotation === undefined ? {} : { rotation }),
      },
      acl: ['bind:d.test'],
      ownerId: '',
      createdAt: '',
    };
    credentials = [made, ...credentials];
    return made;
  };
  device.credential = make(1).id;

  const isValid = (id: string): boolean => credentials.some((one) => one.id === id);
  /** A token that the device has tried and found good, and does not run on yet. */
  let staged: { gen: number; id: string } | null = null;
  const commit = (): void => {
    if (staged !== null) Object.assign(device, { gen: staged.gen, credential: staged.id });
    staged = null;
  };
  /** The device's own rules: one swap after the other, nothing that is not newer, nothing that ngrok refuses. */
  const begin = (gen: number, id: string): 'taken' | 'stale' | 'refused' => {
    commit();
    if (gen <= device.gen) return 'stale';
    if (!isValid(id)) return 'refused';
    staged = { gen, id };
    return 'taken';
  };
  const take = (gen: number, id: string): 'taken' | 'stale' | 'refused' => {
    const end = begin(gen, id);
    commit();
    return end;
  };

  const ports = (chance: Chance, rotation: string): RotationPorts => {
    const around = async <T>(work: () => T): Promise<ApiResult<T>> => {
      const dice = chance.next();
      if (dice === 1) throw new Killed();
      if (dice === 3) return { ok: false, fault: OUTAGE };
      const value = work();
      if (dice === 2) throw new Killed();
      return dice === 4 ? { ok: false, fault: OUTAGE } : { ok: true, value };
    };
    return {
      facts: () => ({
        isOnline: true,
        reported: { gen: device.gen, fp: '', isGood: isValid(device.credential), isLocked: false },
      }),
      sealable: () => Promise.resolve(null),
      mint: async (_device, gen) => {
        const made = await around(() => make(gen, rotation));
        return made.ok ? { ok: true, value: { id: made.value.id, token: 't', tag: made.value.tag } } : made;
      },
      async deliver(_device, { id, tag: { gen } }): Promise<Delivery> {
        const command = 'c';
        const dice = chance.next();
        const unsure: Delivery = {
          kind: 'unsure',
          fault: { code: 'DEADLINE', message: 'model', retryable: true },
          command,
        };
        if (dice === 1) throw new Killed();
        if (dice === 3) {
          late = [...late, { gen, id }];
          return unsure;
        }
        if (dice === 2) {
          late = [...late, { gen, id }];
          throw new Killed();
        }
        const end = take(gen, id);
        if (dice === 4) return unsure;
        return end === 'taken'
          ? { kind: 'taken', command }
          : {
              kind: 'refused',
              fault: {
                code: end === 'stale' ? 'GEN_STALE' : 'NGROK_AUTH_REFUSED',
                message: 'model',
                retryable: false,
              },
              command,
            };
      },
      proved: (_device, gen) => Promise.resolve(device.gen === gen),
      remove: async ({ id }) => {
        const gone = await around(() => {
          credentials = credentials.filter((one) => one.id !== id);
        });
        return gone.ok ? { ok: true, value: undefined } : gone;
      },
      endSessions: () => Promise.resolve({ ok: true, value: { seen: 0, remaining: [], stops: {} } }),
    };
  };

  return {
    ports,
    device,
    held: () => credentials,
    isServing: () => isValid(device.credential),
    /** So many late messages reach the device; the last of them is left in the middle of its swap. */
    arrive: (count: number) => {
      for (const { gen, id } of late.splice(0, count)) begin(gen, id);
    },
    commit,
  };
};

const R = ['01JDK0000000000000000000AA', '01JDM0000000000000000000AA'] as const;
const well: Chance = { next: () => 0 };

test('killed anywhere, with lost answers and late messages: never without a good token, and one credential after --resume', async () => {
  let mints = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 8 }), fc.nat(2)), {
        maxLength: 5,
      }),
      async (runs) => {
        const model = createModel();
        for (const [dice, arriving] of runs) {
          const left = [...dice];
          const chance: Chance = { next: () => left.shift() ?? 0 };
          try {
            await rotateDevice(model.ports(chance, R[0]), {
              device: 'd',
              held: model.held(),
              goal: { rotation: R[0] },
              mayBeUnrestricted: false,
            });
          } catch (error) {
            if (!(error instanceof Killed)) throw error;
          }
          expect(model.isServing()).toBe(true);
          model.arrive(arriving);
          if (arriving === 0) model.commit();
          expect(model.isServing()).toBe(true);
        }
        const end = await rotateDevice(model.ports(well, R[0]), {
          device: 'd',
          held: model.held(),
          goal: { rotation: R[0] },
          mayBeUnrestricted: false,
        });
        expect(end).toMatchObject({ state: 'done', credentials: [model.device.credential] });
        expect(model.held().map(({ id }) => id)).toEqual([model.device.credential]);
        // Whatever was still under way can no longer change anything.
        model.arrive(100);
        model.commit();
        expect(model.held().map(({ id }) => id)).toEqual([model.device.credential]);
        expect(model.isServing()).toBe(true);
        mints += 1;
      },
    ),
    { numRuns: 2000 },
  );
  expect(mints).toBe(2000);
});
