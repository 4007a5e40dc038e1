/** `http.listen`: where the status page and the metrics listen. Loopback only. */
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { isLoopbackHost } from './addresses.ts';
import { parseHost, parsePort } from './host-port.ts';

/** `host` is an address or `localhost`, without brackets. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const refuse = (why: string): Result<never> =>
  failed(fault('CONFIG_INVALID', `${why}; write it like 127.0.0.1:9464 or [::1]:9464`, false));

/** Port 0 asks the system for a free one. */
const portOf = (text: string): number | null => (text === '0' ? 0 : parsePort(text));

/** Reads `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464`. The fault's message begins with a verb. */
export const parseHttpListen = (text: string): Result<ListenAddress> => {
  const [, hostText = '', portText = ''] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(text) ?? [];
  const host = parseHost(hostText);
  const port = portOf(portText);
  if (host === null || port === null) return refuse('is not ADDRESS:PORT');
  return isLoopbackHost(host) ? ok({ host: host.text, port }) : refuse('must be a loopback address');
};
