import { expect, test } from 'vitest';
import {
  classifyNgrok,
  isKnownNgrok,
  isSessionLimit,
  type NgrokClass,
} from '../../../src/core/ngrok-codes.ts';

/** One or more of each row of ngrok's list, with both ends of every range. */
const EXPECTED: readonly (readonly [string, NgrokClass, readonly number[]])[] = [
  ['NGROK_AUTH_REFUSED', 'F-cred', [105, 106, 107, 300, 4018]],
  ['NGROK_ACL_DENIED', 'F-conf', [308, 316, 356, 399]],
  ['NGROK_LIMIT', 'RS', [108, 348, 349, 351, 18020, 18021]],
  ['NGROK_LIMIT', 'F-conf', [324, 350]],
  ['NGROK_URL_TAKEN', 'R', [334]],
  ['NGROK_VERSION', 'F-ver', [109, 110, 119, 120, 121, 124, 125, 335]],
  ['NGROK_ACCOUNT', 'F-acct', [102, 103, 123, 302, 337, 338, 382, 714, 725, 733, 735, 740, 8013, 9009]],
  ['NGROK_CONFIG', 'F-conf', [100, 111, 307, 309, 322, 326, 331, 347, 9026, 9028, 9038, 15000, 18019]],
  ['NGROK_NET', 'RS', [115, 116, 8014, 9040]],
  ['NGROK_NET', 'R', [128, 312, 336, 380, 722, 741, 802, 8000, 8009]],
];

test.each(EXPECTED.flatMap(([code, cls, numbers]) => numbers.map((n) => [n, code, cls] as const)))(
  'ERR_NGROK_%d is %s, class %s',
  (n, code, cls) => {
    const verdict = { code, class: cls, retryable: cls === 'R' || cls === 'RS' };
    expect(classifyNgrok(`ERR_NGROK_${n}`)).toEqual(verdict);
    expect(classifyNgrok(String(n))).toEqual(verdict);
    expect(isKnownNgrok(`ERR_NGROK_${n}`)).toBe(true);
  },
);

test('what nobody listed is taken for the network, and is known to be unknown', () => {
  for (const code of [
    'ERR_NGROK_99999',
    'ERR_NGROK_734',
    'ERR_NGROK_332',
    'ERR_NGROK_9039',
    'ERR_NGROK_',
    '',
  ]) {
    expect(classifyNgrok(code), code).toEqual({ code: 'NGROK_NET', class: 'R', retryable: true });
    expect(isKnownNgrok(code), code).toBe(false);
  }
});

test('only two codes say that the account has no session left', () => {
  expect(['ERR_NGROK_108', 'ERR_NGROK_348'].map(isSessionLimit)).toEqual([true, true]);
  expect(['ERR_NGROK_349', 'ERR_NGROK_1080', undefined].map(isSessionLimit)).toEqual([false, false, false]);
});
