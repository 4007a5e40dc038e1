/** What a TLS handshake tells about clock, authority and certificate. Pure. */
import { type Finding, fine, found } from './finding.ts';

/** A handshake as it went. `error` is Node's code; null when the peer was authorised. */
export interface HandshakeFacts {
  readonly host: string;
  readonly error: string | null;
  readonly subject: string;
  readonly issuer: string;
  /** Epoch milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const DAY_MS = 86_400_000;
const EXPIRY_WARNING_DAYS = 14;

const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');

/** `hasOwnCa`: the configuration names the authority, so another one on the way is interception or a wrong file. */
export const judgeHandshake = (
  check: string,
  facts: HandshakeFacts,
  hasOwnCa: boolean,
  nowMs: number,
): Finding => {
  const { host, error, issuer, subject, notBeforeMs, notAfterMs } = facts;
  if (error === 'CERT_NOT_YET_VALID' || nowMs < notBeforeMs)
    return found(
      check,
      'error',
      'CLOCK_BEHIND',
      `The certificate of ${host} is valid from ${day(notBeforeMs)} UTC, and this clock says ${day(nowMs)}.`,
      'Set the clock, or wait for time from the network; the daemon tries again by itself.',
    );
  if (error === 'CERT_HAS_EXPIRED' || nowMs > notAfterMs)
    return found(
      check,
      'error',
      'CERT_EXPIRED',
      `The certificate of ${host} ended ${day(notAfterMs)} UTC, and this clock says ${day(nowMs)}.`,
      'If the clock is right, renew the certificate there.',
    );
  if (error === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return found(
      check,
      'error',
      'CERT_NAME',
      `What answers at ${host} shows a certificate for ${subject || 'another name'}.`,
      'Check the host name, and whether a proxy or captive portal stands in between.',
    );
  if (error !== null && UNKNOWN_AUTHORITY.has(error))
    return found(
      check,
      'error',
      'TLS_INTERCEPTED',
      `The certificate of ${host} comes from ${issuer || 'an unknown authority'}, which ${hasOwnCa ? 'is not in the caFile' : 'this machine does not trust'}.`,
      'A proxy that opens TLS must let this host through; or the caFile is the wrong one.',
    );
  if (error !== null)
    return found(
      check,
      'error',
      'TLS_FAILED',
      `The TLS handshake with ${host} failed (${error}).`,
      'Check that the port speaks TLS, and which versions it allows.',
    );
  const daysLeft = Math.floor((notAfterMs - nowMs) / DAY_MS);
  return daysLeft < EXPIRY_WARNING_DAYS
    ? found(
        check,
        'warning',
        'CERT_ENDS_SOON',
        `The certificate of ${host} ends in ${daysLeft} days.`,
        'Renew it in time.',
      )
    : fine(check, `${host} answers with a certificate by ${issuer}, good for ${daysLeft} days`);
};
