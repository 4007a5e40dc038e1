/**
 * What each of ngrok's error codes asks of the device. Source: ngrok's error reference and its agents' behaviour; the
 * classes are our reading of them. A code that is not listed is retried like a network fault.
 */
import type { FaultCode } from './errors.ts';

/**
 * `R` retry with back-off; `RS` retry in minutes; `F-cred` this token is refused; `F-conf` this endpoint waits for another
 * configuration; `F-acct` the account is in the way; `F-ver` this agent is too old or wrong.
 */
export type NgrokClass = 'R' | 'RS' | 'F-cred' | 'F-conf' | 'F-acct' | 'F-ver';

export interface NgrokVerdict {
  readonly code: FaultCode;
  readonly class: NgrokClass;
  /** True when time alone can cure it. */
  readonly retryable: boolean;
}

type Row = readonly [
  code: FaultCode,
  cls: NgrokClass,
  numbers: readonly (number | readonly [number, number])[],
];

const TABLE: readonly Row[] = [
  ['NGROK_AUTH_REFUSED', 'F-cred', [105, 106, 107, 300, 4018]],
  ['NGROK_ACL_DENIED', 'F-conf', [308, 316, 356, 399]],
  ['NGROK_LIMIT', 'RS', [108, 348, 349, 351, 18020, 18021]],
  ['NGROK_LIMIT', 'F-conf', [324, 350]],
  ['NGROK_URL_TAKEN', 'R', [334]],
  ['NGROK_VERSION', 'F-ver', [109, 110, 119, 120, 121, 124, 125, 335]],
  ['NGROK_ACCOUNT', 'F-acct', [102, 103, 123, 302, 337, 338, 382, 714, [725, 733], [735, 740], 8013, 9009]],
  [
    'NGROK_CONFIG',
    'F-conf',
    [
      100,
      111,
      112,
      118,
      122,
      126,
      127,
      307,
      309,
      310,
      311,
      313,
      314,
      315,
      317,
      318,
      319,
      320,
      322,
      358,
      394,
      395,
      15000,
      15002,
      15005,
      15006,
      15010,
      [326, 331],
      347,
      354,
      355,
      396,
      397,
      9026,
      9027,
      [9028, 9038],
      18019,
    ],
  ],
  ['NGROK_NET', 'RS', [115, 116, 8014, 9040]],
  ['NGROK_NET', 'R', [128, 312, 336, 380, 722, 741, 742, 743, 802, 803, [8000, 8009]]],
];

const byNumber = (wanted: number): Row | undefined =>
  TABLE.find(([, , numbers]) =>
    numbers.some((n) => (typeof n === 'number' ? n === wanted : wanted >= n[0] && wanted <= n[1])),
  );

const numberOf = (ngrokCode: string): number => Number(/(\d+)$/.exec(ngrokCode)?.[1] ?? Number.NaN);

/** False for a code that no row of ours names: it is retried a few times, then slowly. */
export const isKnownNgrok = (ngrokCode: string): boolean => byNumber(numberOf(ngrokCode)) !== undefined;

const isOneOf =
  (...numbers: readonly number[]) =>
  (ngrokCode: string | undefined): boolean =>
    ngrokCode !== undefined && numbers.includes(numberOf(ngrokCode));

/** The account allows no further agent session. */
export const isSessionLimit = isOneOf(108, 348);

/** The account, or the address, has room for no further endpoint, and one of ours may be what fills it. */
export const isEndpointLimit = isOneOf(324, 350, 18021);

/** Classifies `ERR_NGROK_107` (or `107`). Unknown codes are `NGROK_NET`, class `R`. */
export const classifyNgrok = (ngrokCode: string): NgrokVerdict => {
  const row = byNumber(numberOf(ngrokCode));
  if (row === undefined) return { code: 'NGROK_NET', class: 'R', retryable: true };
  return { code: row[0], class: row[1], retryable: row[1] === 'R' || row[1] === 'RS' };
};
