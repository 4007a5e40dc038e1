import type { UpstreamTarget } from '../../core/endpoint.ts';
import { type Fault, fault } from '../../core/errors.ts';
import { hostPort } from './resolve.ts';

const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to its network',
  ETIMEDOUT: 'no answer',
  EMFILE: 'no descriptor left on this device',
  ENFILE: 'no descriptor left on this device',
};

const CERTIFICATE_ERRORS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is not trusted here',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not yet valid (is the clock right?)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name',
};

/** The name that the upstream's certificate must hold. */
export const expectedName = (target: UpstreamTarget): string =>
  target.tls?.serverName || target.host.replace(/^\[(.*)\]$/, '$1');

export const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';

/** True for "no descriptor left", which is our trouble and not the upstream's. */
export const isDescriptorError = (error: unknown): boolean =>
  codeOf(error) === 'EMFILE' || codeOf(error) === 'ENFILE';

/** What stood in the way of a connection to the upstream. `wasConnected`: TCP stood, TLS failed. */
export const dialFault = (target: UpstreamTarget, error: unknown, wasConnected: boolean): Fault => {
  const code = codeOf(error);
  const where = `${target.ref} (${hostPort(target)})`;
  const certificate = CERTIFICATE_ERRORS[code];
  if (certificate !== undefined) {
    return fault(
      'UPSTREAM_TLS',
      `The certificate of upstream ${where} is not accepted: ${certificate}; the name expected in it is ${expectedName(target)}. Set its caFile, serverName or verify.`,
      true,
    );
  }
  if (wasConnected && target.tls !== undefined && code !== 'ETIMEDOUT') {
    return fault('UPSTREAM_TLS', `Upstream ${where} does not complete a TLS handshake; is it plain?`, true);
  }
  const why = CONNECT_ERRORS[code] ?? (code === '' ? 'cause unknown' : code);
  return fault('UPSTREAM_DOWN', `Upstream ${where} does not answer: ${why}.`, true);
};

/** A deadline that ran out, in the form of a system error. */
export const timedOut = (): Error => Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' });
