/** A page on the loopback port is only for who asks for it by its own name: other names may be a trick of some web site. */

/** The host of a Host header in lower case, without its port; null when it is no host. */
const hostOf = (header: string): string | null => {
  const [, host] = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/.exec(header.toLowerCase()) ?? [];
  return host ?? null;
};

/** True for the address that is listened on and for `localhost`, with any port: a tunnel of ssh has a port of its own. */
export const isOwnHost = (header: string | undefined, listenHost: string): boolean => {
  const host = header === undefined ? null : hostOf(header);
  const own = listenHost.includes(':') ? `[${listenHost}]` : listenHost;
  return host !== null && (host === own.toLowerCase() || host === 'localhost');
};
