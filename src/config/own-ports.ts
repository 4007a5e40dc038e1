/** The daemon's own doors: its page, and a broker on the same machine. No endpoint may lead there. */
import { isLoopbackHost } from './addresses.ts';
import type { Config } from './config.ts';
import { type Host, parseHost, parsePort } from './host-port.ts';
import { parseHttpListen } from './http-listen.ts';
import { MQTT_DEFAULT_PORTS } from './mqtt-url.ts';

const brokerPort = (url: string): { readonly host: Host; readonly port: number } | null => {
  if (!URL.canParse(url)) return null;
  const { protocol, hostname, port } = new URL(url);
  const host = parseHost(hostname);
  const number = port === '' ? MQTT_DEFAULT_PORTS[protocol] : parsePort(port);
  return host === null || !number ? null : { host, port: number };
};

/** True when `host:port` is where the daemon listens, or its broker does. All loopback spellings are one machine. */
export const isOwnPort = (host: Host, port: number, config: Pick<Config, 'http' | 'mqtt'>): boolean => {
  const listen = config.http.listen === '' ? null : parseHttpListen(config.http.listen);
  if (listen?.ok && listen.value.port === port && isLoopbackHost(host)) return true;
  const broker = brokerPort(config.mqtt.url);
  if (broker === null || broker.port !== port) return false;
  return broker.host.text === host.text || (isLoopbackHost(broker.host) && isLoopbackHost(host));
};
