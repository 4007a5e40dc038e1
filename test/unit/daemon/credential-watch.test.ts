import { pino } from 'pino';
import { expect, test } from 'vitest';
import { fault } from '../../../src/core/errors.ts';
import { createCredentialWatch } from '../../../src/daemon/credential-watch.ts';
import type { TokenSlot, TokenVault } from '../../../src/daemon/ports.ts';
import type { EventDraft } from '../../../src/daemon/transitions.ts';
import { manualClock } from '../../support/manual-clock.ts';

const REFUSED = fault('NGROK_AUTH_REFUSED', 'x', false, 'ERR_NGROK_107');

const slot = (fingerprint: string, generation: number, source: TokenSlot['source']): TokenSlot => ({
  generation,
  authtoken: 'x',
  credentialId: '',
  fingerprint,
  source,
  state: 'candidate',
});

/** What is told when the token beside the one in use is refused. */
const toldOf = (candidate: TokenSlot): readonly EventDraft[] => {
  const told: EventDraft[] = [];
  const state = { a: slot('0badcafe', 3, 'rekey'), b: candidate, current: 'a', swap: null, seedDigest: '' };
  createCredentialWatch({
    clock: manualClock(),
    log: pino({ level: 'silent' }),
    vault: { get: () => state } as unknown as TokenVault,
    wantedGeneration: () => undefined,
    event: (draft) => told.push(draft),
  }).refused('b', REFUSED);
  return told;
};

test('a refused token is told with its own number, and without one where it has none of its own', () => {
  expect(toldOf(slot('00000004', 4, 'rekey'))).toEqual([
    {
      type: 'cred.refused',
      code: 'NGROK_AUTH_REFUSED',
      data: { gen: 4, fp: '00000004', ngrokCode: 'ERR_NGROK_107' },
    },
  ]);
  const [told] = toldOf(slot('00000005', 3, 'file'));
  expect(told?.data).toEqual({ fp: '00000005', ngrokCode: 'ERR_NGROK_107' });
});
