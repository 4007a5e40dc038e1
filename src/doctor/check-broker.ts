/** Login and topics at the broker, on a connection of its own that never takes the device's place. */
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import type { LinkStatus } from '../daemon/ports.ts';
import { createLink } from '../link/link.ts';
import { deviceFilters } from '../protocol/topics.ts';
import { type Finding, fine, found } from './finding.ts';

const CHECK = 'broker login';
const DEADLINE_MS = 12_000;
const EXPIRY_WARNING_DAYS = 14;
const LOOK_MS = 50;

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined };

/** Pure: what the state of the link says after it was given its time. */
export const judgeLink = (status: LinkStatus): readonly Finding[] => {
  if (status.state !== 'connected' && status.refusedFilters.length === 0) {
    const { code, message } = status.lastError ?? {
      code: 'BROKER_NET',
      message: 'The broker did not answer in time.',
    };
    return [
      found(
        CHECK,
        'error',
        code,
        message,
        code === 'BROKER_AUTH_REFUSED'
          ? "Check user name, password file and certificate, and that the broker's ACL knows this identity."
          : 'Check mqtt.url and what the broker logs about this client.',
      ),
    ];
  }
  const { certificateDaysLeft } = status;
  return [
    fine(CHECK, `${status.broker} accepts the login, MQTT ${status.protocol === 5 ? '5' : '3.1.1'}`),
    ...status.refusedFilters.map((filter) =>
      found(
        'broker topics',
        'error',
        'SUBSCRIBE_DENIED',
        `The broker does not allow this device to read ${filter}.`,
        `Add it to the ACL of the device: docs/protocol.md lists every topic.`,
      ),
    ),
    ...(certificateDaysLeft !== null && certificateDaysLeft < EXPIRY_WARNING_DAYS
      ? [
          found(
            'client certificate',
            certificateDaysLeft < 0 ? 'error' : 'warning',
            'CERT_ENDS_SOON',
            `The client certificate ends in ${Math.floor(certificateDaysLeft)} days.`,
            'Put a renewed certificate and key into the same files: they are read again at each connect.',
          ),
        ]
      : []),
  ];
};

/** Connects under another client id, asks for the device's topics, and leaves. */
export const checkBroker = async (config: Config, clock: Clock): Promise<readonly Finding[]> => {
  const { id, tenant } = config.device;
  const wanted = deviceFilters(tenant, id, []);
  const link = createLink({
    config: config.mqtt,
    clientId: `${id}-doctor-${Math.floor(clock.random() * 1e9).toString(36)}`,
    clock,
    log: SILENT,
    role: 'client',
    protoMemory: { get: () => null, set: () => undefined },
    handlers: {
      will: () => ({ topic: '', payload: '', qos: 0, retain: false }),
      up: () => Promise.resolve(),
      message: () => Promise.resolve(),
      changed: () => undefined,
    },
  });
  link.subscribe(wanted);
  link.start();
  const until = clock.now() + DEADLINE_MS;
  const isTold = (): boolean => {
    const { state, lastError, refusedFilters } = link.status();
    return state === 'connected' || refusedFilters.length > 0 || lastError?.code === 'BROKER_AUTH_REFUSED';
  };
  while (!isTold() && clock.now() < until)
    await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve));
  const findings = judgeLink(link.status());
  await link.stop();
  return findings;
};
