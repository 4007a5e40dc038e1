/** URLs of endpoints: `scheme://host[:port]`, nothing behind. */

export interface EndpointUrl {
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
}

/** Tcp has no port of its own: it must be named. */
const DEFAULT_PORT: Readonly<Record<string, number | null>> = { https: 443, http: 80, tls: 443, tcp: null };
const URL_FORM = /^([a-z]+):\/\/((?:\*\.)?[a-z0-9_.-]*[a-z0-9])(?::([1-9][0-9]{0,4}))?\/?$/i;
const HIGHEST_PORT = 65_535;

/** Null when it is not a URL that an endpoint can have. */
export const parseEndpointUrl = (text: string): EndpointUrl | null => {
  const [, scheme = '', host = '', portText] = URL_FORM.exec(text) ?? [];
  const byDefault = DEFAULT_PORT[scheme.toLowerCase()];
  if (byDefault === undefined || host.includes('..')) return null;
  const port = portText === undefined ? byDefault : Number(portText);
  if (port === null || port > HIGHEST_PORT) return null;
  return { scheme: scheme.toLowerCase(), host: host.toLowerCase(), port };
};
