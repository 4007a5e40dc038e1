import { connect, isIP, type OnReadOpts, type Socket } from 'node:net';
import { checkServerIdentity, type SecureContext, connect as tlsConnect } from 'node:tls';
import type { Clock } from '../../core/clock.ts';
import type { UpstreamTarget } from '../../core/endpoint.ts';
import { type Fault, fault } from '../../core/errors.ts';
import { dialFault, expectedName, isDescriptorError, timedOut } from './dial-faults.ts';
import { resolveUpstream } from './resolve.ts';

/** How long the upstream may take to accept, all its addresses together. */
export const CONNECT_DEADLINE_MS = 5_000;

export interface DialOptions {
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** Trust for a TLS upstream; read anew by the caller after a certificate problem. */
  readonly secureContext?: SecureContext;
  /** Offers HTTP/1.1 by ALPN. */
  readonly isHttp: boolean;
  /** Where a plain connection's bytes go; a TLS socket is read by its `data` events. */
  readonly onread?: () => OnReadOpts;
  readonly signal: AbortSignal;
  /** Gets each socket as it is made, with the `address:port` it goes to. */
  readonly onSocket?: (socket: Socket, remote: string) => void;
}

export type Dialled =
  | { readonly ok: true; readonly socket: Socket }
  | {
      readonly ok: false;
      readonly fault: Fault;
      /** True when this process had no descriptor left. */
      readonly isExhausted: boolean;
    };

/** Dials one checked address; rejects with the system's error, marked when TCP already stood. */
const dialAddress = (
  target: UpstreamTarget,
  address: string,
  options: DialOptions,
  leftMs: number,
): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const { tls } = target;
    const base = { host: address, port: target.port, allowHalfOpen: true };
    const name = expectedName(target);
    const onread = tls === undefined ? options.onread?.() : undefined;
    const socket =
      tls === undefined
        ? connect({ ...base, noDelay: true, ...(onread === undefined ? {} : { onread }) })
        : tlsConnect({
            ...base,
            ...(isIP(name) === 0 ? { servername: name } : {}),
            ...(options.secureContext === undefined ? {} : { secureContext: options.secureContext }),
            ...(options.isHttp ? { ALPNProtocols: ['http/1.1'] } : {}),
            rejectUnauthorized: tls.verify,
            // The configured name decides, also where SNI cannot carry it.
            checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
          });
    options.onSocket?.(socket, `${address}:${target.port}`);
    let wasConnected = false;
    const settle = (error?: Error): void => {
      cancel();
      options.signal.removeEventListener('abort', abort);
      socket.removeListener('error', settle);
      socket.removeListener('close', closed);
      if (error === undefined) {
        resolve(socket);
        return;
      }
      // A late error of a socket that is given up says nothing to anybody.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(Object.assign(error, { wasConnected }));
    };
    const abort = (): void => settle(new Error('given up'));
    const closed = (): void => settle(new Error('closed before it was ready'));
    const cancel = options.clock.after(leftMs, () => settle(timedOut()));
    options.signal.addEventListener('abort', abort, { once: true });
    socket.once('error', settle);
    socket.once('close', closed);
    socket.once('connect', () => {
      wasConnected = true;
      if (tls === undefined) settle();
    });
    if (tls !== undefined) {
      socket.once('secureConnect', () => {
        socket.setNoDelay(true);
        settle();
      });
    }
  });

/** Resolves, checks and dials an upstream: its addresses one after the other, within one deadline. Never rejects. */
export const dialUpstream = async (target: UpstreamTarget, options: DialOptions): Promise<Dialled> => {
  const until = options.clock.now() + options.deadlineMs;
  const addresses = await resolveUpstream(target);
  if (!addresses.ok) return { ok: false, fault: addresses.fault, isExhausted: false };
  let last: unknown = timedOut();
  for (const address of addresses.value) {
    const leftMs = until - options.clock.now();
    if (leftMs <= 0 || options.signal.aborted) break;
    try {
      return { ok: true, socket: await dialAddress(target, address, options, leftMs) };
    } catch (error) {
      last = error;
    }
  }
  if (options.signal.aborted) {
    return { ok: false, fault: fault('CANCELLED', 'The visitor left.', true), isExhausted: false };
  }
  const wasConnected = (last as { wasConnected?: boolean }).wasConnected === true;
  return { ok: false, fault: dialFault(target, last, wasConnected), isExhausted: isDescriptorError(last) };
};
