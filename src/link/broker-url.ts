import { isIP } from 'node:net';
import { failed, fault, ok, type Result } from '../core/errors.ts';

export type BrokerScheme = 'mqtt' | 'mqtts' | 'ws' | 'wss';

/** A broker's address, taken apart. */
export interface BrokerTarget {
  readonly scheme: BrokerScheme;
  /** Name or IP without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query, for WebSockets. */
  readonly path: string;
  readonly isSecure: boolean;
  /** Protocol to name in the TLS handshake of `mqtts`. */
  readonly alpn?: string;
  /** The URL for people, logs and status. */
  readonly shown: string;
}

const DEFAULT_PORT: Readonly<Record<BrokerScheme, number>> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 };

const isScheme = (s: string): s is BrokerScheme => s in DEFAULT_PORT;

/** Takes `mqtt://`, `mqtts://`, `ws://` and `wss://` URLs. User info is refused: passwords have a file of their own. */
export const parseBrokerUrl = (text: string): Result<BrokerTarget> => {
  const bad = (what: string): Result<BrokerTarget> =>
    failed(fault('CONFIG_INVALID', `mqtt.url ${what}; the form is mqtts://broker.example:8883`, false));
  if (!URL.canParse(text)) return bad('is not a URL');
  const url = new URL(text);
  const scheme = url.protocol.slice(0, -1);
  if (!isScheme(scheme)) return bad('must begin with mqtt://, mqtts://, ws:// or wss://');
  if (url.username !== '' || url.password !== '')
    return bad('must not hold a user or password (use mqtt.username and mqtt.passwordFile)');
  if (url.hash !== '') return bad('must not hold a fragment');
  const bare = url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (bare === '') return bad('names no host');
  const port = url.port === '' ? DEFAULT_PORT[scheme] : Number(url.port);
  if (port === 0) return bad('has port 0');
  const isWeb = scheme === 'ws' || scheme === 'wss';
  if (!isWeb && (url.search !== '' || (url.pathname !== '' && url.pathname !== '/')))
    return bad('must not hold a path');
  const path = isWeb ? `${url.pathname === '' ? '/' : url.pathname}${url.search}` : '';
  const authority = `${isIP(bare) === 6 ? `[${bare}]` : bare}:${port}`;
  return ok({
    scheme,
    host: bare,
    port,
    path,
    isSecure: scheme === 'mqtts' || scheme === 'wss',
    shown: `${scheme}://${authority}${isWeb ? url.pathname.replace(/^\/$/, '') : ''}`,
  });
};
