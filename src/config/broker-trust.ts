/** `trust.mode: broker` believes whoever may publish, so the broker must be one that strangers cannot reach. */
import { isPrivateAddress } from './addresses.ts';
import type { Config } from './config.ts';
import { parseMqttUrl } from './mqtt-url.ts';
import { type ConfigProblem, problem } from './problem.ts';

/** All addresses of a host name; rejects when it has none. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** Nothing, or the reason why this broker's word does not suffice. A name must resolve to private addresses only. */
export const checkBrokerTrust = async (
  { trust, mqtt }: Pick<Config, 'trust' | 'mqtt'>,
  lookup: Lookup,
): Promise<readonly ConfigProblem[]> => {
  const url = parseMqttUrl(mqtt.url);
  if (trust.mode !== 'broker' || !url.ok) return [];
  const { kind, text } = url.value.host;
  const refuse = (why: string): readonly ConfigProblem[] => [
    problem(
      'trust.mode',
      `cannot be broker: ${why}; only a broker with loopback or private addresses will do`,
    ),
  ];
  if (kind !== 'name') return isPrivateAddress(text) ? [] : refuse(`${text} is a public address`);
  let addresses: readonly string[];
  try {
    addresses = await lookup(text);
  } catch {
    return refuse(`the host ${text} of mqtt.url cannot be resolved`);
  }
  const outside = addresses.find((address) => !isPrivateAddress(address));
  return outside === undefined ? [] : refuse(`the host ${text} of mqtt.url is ${outside}`);
};
