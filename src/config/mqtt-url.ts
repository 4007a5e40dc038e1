/** `mqtt.url`: the broker's address. */
import { failed, fault, ok, type Result } from '../core/errors.ts';
import { type Host, parseHost } from './host-port.ts';

/** Schemes that the link speaks, with the port each stands for. */
export const MQTT_DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'mqtt:': 1883,
  'mqtts:': 8883,
  'ws:': 80,
  'wss:': 443,
};

const refuse = (why: string): Result<never> =>
  failed(fault('CONFIG_INVALID', `${why}; write it like mqtts://broker.example:8883`, false));

/** The broker's host. The fault's message begins with a verb and never repeats the URL. */
export const parseMqttUrl = (text: string): Result<{ readonly host: Host }> => {
  if (!URL.canParse(text)) return refuse('is not a URL');
  const url = new URL(text);
  if (!Object.hasOwn(MQTT_DEFAULT_PORTS, url.protocol))
    return refuse('has a scheme other than mqtt, mqtts, ws and wss');
  if (url.username !== '' || url.password !== '') {
    return refuse('must not hold a user name or password (they are mqtt.username and mqtt.passwordFile)');
  }
  if (url.hash !== '') return refuse('must not hold a fragment');
  const isWebSocket = url.protocol.startsWith('ws');
  if (!isWebSocket && ((url.pathname !== '' && url.pathname !== '/') || url.search !== '')) {
    return refuse('must not hold a path or query');
  }
  const host = parseHost(url.hostname);
  return host === null ? refuse('names no valid host') : ok({ host });
};
