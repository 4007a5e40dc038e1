import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  afterNewRevision,
  liveOverrides,
  type Override,
  restoreOverrides,
  saveOverrides,
  withOverride,
  withoutOverride,
} from '../../../src/core/override.ts';
import { nextChange, type WantedInputs, wantedAt } from '../../../src/core/wanted.ts';
import { endpointSpec } from '../../support/endpoint-spec.ts';

const NOW = 5_000_000;
const WALL = 1_800_000_000_000;

const override = (want: 'up' | 'down', endsAt: number | null, endpoint = 'web'): Override => ({
  endpoint,
  want,
  endsAt,
  cause: 'command',
});

const judge = (more: Partial<WantedInputs>, now = NOW) =>
  wantedAt(
    {
      file: [endpointSpec('web')],
      document: [],
      overrides: [],
      documentAcceptedAt: NOW,
      windowOpen: {},
      ...more,
    },
    now,
  ).get('web');

describe('what is wanted', () => {
  test('is what the file declares, as long as nobody else has a say', () => {
    expect(judge({})).toMatchObject({ up: false, by: 'desired', until: null, downCause: 'desired' });
    expect(judge({ file: [endpointSpec('web', { on: true })] })).toMatchObject({ up: true, by: 'desired' });
  });

  test('is what the document says, where it declares the same endpoint', () => {
    const document = [endpointSpec('web', { on: true, upstream: 'camera', origin: 'document' })];
    expect(judge({ document })).toMatchObject({ up: true, spec: { upstream: 'camera' } });
    expect(judge({ file: [endpointSpec('web', { on: true })], document: [endpointSpec('web')] })?.up).toBe(
      false,
    );
  });

  test('is what a command says, until its lease ends', () => {
    const overrides = [override('up', NOW + 60_000)];
    expect(judge({ overrides })).toMatchObject({ up: true, by: 'lease', until: NOW + 60_000 });
    expect(judge({ overrides }, NOW + 59_999)?.up).toBe(true);
    expect(judge({ overrides }, NOW + 60_000)).toMatchObject({ up: false, by: 'desired' });
  });

  test('is held by a command without an end, which is no lease', () => {
    expect(judge({ overrides: [override('up', null)] })).toMatchObject({
      up: true,
      by: 'desired',
      until: null,
    });
    const file = [endpointSpec('web', { on: true })];
    expect(judge({ file, overrides: [override('down', null)] })).toMatchObject({
      up: false,
      downCause: 'command',
    });
  });

  test('ends when the document is as old as its time-to-live', () => {
    const document = [endpointSpec('web', { on: true, ttlS: 60 })];
    const inputs = { document, documentAcceptedAt: NOW - 59_999 };
    expect(judge(inputs)).toMatchObject({ up: true, until: NOW + 1 });
    expect(judge({ ...inputs, documentAcceptedAt: NOW - 60_000 })).toMatchObject({
      up: false,
      downCause: 'lease',
    });
  });

  test('is not while none of its weekly windows is open, but a command opens it all the same', () => {
    const file = [endpointSpec('web', { on: true, windows: ['0 8 * * 1 / 8h'] })];
    expect(judge({ file, windowOpen: { web: false } })).toMatchObject({ up: false, downCause: 'window' });
    const overrides = [override('up', NOW + 60_000)];
    expect(judge({ file, windowOpen: { web: false }, overrides })?.up).toBe(true);
  });

  test('changes by itself at the earliest end', () => {
    const wanted = wantedAt(
      {
        file: [endpointSpec('a'), endpointSpec('b'), endpointSpec('c', { on: true })],
        document: [],
        overrides: [override('up', NOW + 900, 'a'), override('up', NOW + 300, 'b')],
        documentAcceptedAt: NOW,
        windowOpen: {},
      },
      NOW,
    );
    expect(nextChange(wanted)).toBe(NOW + 300);
    expect(nextChange(new Map())).toBeNull();
  });
});

describe('overrides', () => {
  test('there is one of an endpoint: the last', () => {
    const all = withOverride([override('up', 1), override('up', 2, 'ssh')], override('down', null));
    expect(all).toEqual([override('up', 2, 'ssh'), override('down', null)]);
    expect(withoutOverride(all, 'ssh')).toEqual([override('down', null)]);
  });

  test('a new revision ends all but running leases', () => {
    expect(afterNewRevision([override('down', null), override('up', 9, 'ssh')])).toEqual([
      override('up', 9, 'ssh'),
    ]);
  });

  test('those that have ended are dropped, and the same list comes back when none has', () => {
    const all = [override('up', NOW), override('up', NOW + 1, 'ssh'), override('down', null, 'plc')];
    expect(liveOverrides(all, NOW).map((o) => o.endpoint)).toEqual(['ssh', 'plc']);
    expect(liveOverrides(all, NOW - 1)).toBe(all);
  });

  test('after a restart a lease ends when it would have ended', () => {
    const saved = saveOverrides([override('up', NOW + 600_000)], NOW, WALL);
    const [restored] = restoreOverrides(saved, 100, WALL + 200_000);
    expect(restored?.endsAt).toBe(100 + 400_000);
  });

  test('a lease is never longer after a restart, whatever became of the clock, and one that is over stays over', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 86_400_000 }),
        fc.integer({ min: -1e12, max: 1e12 }),
        (leftMs, jumpMs) => {
          const saved = saveOverrides([override('up', NOW + leftMs)], NOW, WALL);
          for (const { endsAt } of restoreOverrides(saved, 0, WALL + jumpMs)) {
            expect(endsAt).not.toBeNull();
            expect(endsAt ?? 0).toBeGreaterThan(0);
            expect(endsAt ?? 0).toBeLessThanOrEqual(leftMs);
          }
          if (jumpMs >= leftMs) expect(restoreOverrides(saved, 0, WALL + jumpMs)).toEqual([]);
        },
      ),
    );
  });

  test('one without an end is kept over any restart', () => {
    const saved = saveOverrides([override('down', null)], NOW, WALL);
    expect(restoreOverrides(saved, 0, 0)).toEqual([override('down', null)]);
  });
});
