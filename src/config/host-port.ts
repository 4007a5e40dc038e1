/** Hosts and ports as this configuration writes them: stricter than URL parsers, so that no two readers disagree. */
import { isIPv4, isIPv6 } from 'node:net';

/** A host taken apart. `text` is lower-case and without brackets; mapped IPv4 addresses are IPv4. */
export interface Host {
  readonly kind: 'ipv4' | 'ipv6' | 'name';
  readonly text: string;
}

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;
const LOOKS_NUMERIC = /^(\d+|0x[0-9a-f]*)$/;

/** The one spelling of an IPv6 address; a mapped IPv4 address becomes that address. */
const canonicalIpv6 = (address: string): Host => {
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  if (!mapped) return { kind: 'ipv6', text };
  const bits = Number.parseInt(mapped[1] ?? '', 16) * 0x10000 + Number.parseInt(mapped[2] ?? '', 16);
  return { kind: 'ipv4', text: [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.') };
};

/** A dotted or bracketed address, or a name; null for everything else, such as `0x7f.1`, `127.1`, `[fe80::1%eth0]`. */
export const parseHost = (written: string): Host | null => {
  const text = written.toLowerCase();
  if (text.startsWith('[') && text.endsWith(']')) {
    const address = text.slice(1, -1);
    return isIPv6(address) && !address.includes('%') ? canonicalIpv6(address) : null;
  }
  if (isIPv4(text)) return { kind: 'ipv4', text };
  const labels = text.split('.');
  if (text.length > 253 || !labels.every((label) => LABEL.test(label))) return null;
  // The last label decides whether a URL parser takes the whole for a number.
  return LOOKS_NUMERIC.test(labels.at(-1) ?? '') ? null : { kind: 'name', text };
};

/** 1 to 65535 in plain digits; null for everything else. */
export const parsePort = (text: string): number | null => {
  if (!/^[1-9]\d{0,4}$/.test(text)) return null;
  const port = Number(text);
  return port <= 65_535 ? port : null;
};

/** `host:port`, or the host alone for a null port, with brackets where the host needs them. */
export const formatHostPort = (host: string, port: number | null): string =>
  `${host.includes(':') ? `[${host}]` : host}${port === null ? '' : `:${port}`}`;
