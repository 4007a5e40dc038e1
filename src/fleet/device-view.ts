/** What devices keep published, read from the broker: one device by its own topics, a fleet by three wildcards. */
import type { Clock } from '../core/clock.ts';
import type { InboundMessage } from '../daemon/ports.ts';
import type { HelloMessage, PresenceMessage } from '../protocol/presence-schema.ts';
import type { ReportedMessage } from '../protocol/reported-schema.ts';
import { readStrictJson } from '../protocol/strict-json.ts';
import { formatTopic, parseTopic } from '../protocol/topics.ts';
import { type Checked, checkHello, checkPresence, checkReported } from '../protocol/validate.ts';
import type { FleetLink } from './fleet-link.ts';

/** The newest of each kind; what was never published, or cannot be read, is absent. */
export interface DeviceSeen {
  readonly presence?: PresenceMessage;
  readonly hello?: HelloMessage;
  readonly reported?: ReportedMessage;
}

export interface DeviceView {
  get(device: string): DeviceSeen;
  /** Every device that was seen. */
  devices(): readonly string[];
  /** Resolves when `look` is true for what the device shows, at once or later; false when the time is over. */
  until(device: string, look: (seen: DeviceSeen) => boolean, deadlineMs: number): Promise<boolean>;
  close(): void;
}

const LEAVES = ['presence', 'hello', 'reported'] as const;
type Leaf = (typeof LEAVES)[number];

/** Stored messages come at once; nothing new for so long means that there are no more. */
const QUIET_MS = 400;

const read = <T>(payload: Uint8Array, check: (value: unknown) => Checked<T>): T | undefined => {
  const json = readStrictJson(payload);
  const checked = json.ok ? check(json.value) : null;
  return checked?.ok === true ? checked.value : undefined;
};

const withLeaf = (seen: DeviceSeen, leaf: Leaf, payload: Uint8Array): DeviceSeen => {
  const presence = leaf === 'presence' ? read(payload, checkPresence) : undefined;
  if (presence !== undefined) return { ...seen, presence };
  const hello = leaf === 'hello' ? read(payload, checkHello) : undefined;
  if (hello !== undefined) return { ...seen, hello };
  const reported = leaf === 'reported' ? read(payload, checkReported) : undefined;
  return reported === undefined ? seen : { ...seen, reported };
};

const isWhole = (seen: DeviceSeen | undefined): boolean =>
  seen?.presence !== undefined && seen.hello !== undefined && seen.reported !== undefined;

/**
 * Watches the devices and waits until what is stored has come: until each showed all, or nothing came for a moment.
 * More than one device is watched by wildcard. Rejects with a `LockkeeperError` when the broker refuses.
 */
export const openDeviceView = async (
  link: FleetLink,
  devices: readonly string[],
  clock: Clock,
): Promise<DeviceView> => {
  const { tenant } = link;
  const seen = new Map<string, DeviceSeen>();
  const lookers = new Map<string, Set<() => void>>();
  let lastAtMs = clock.now();

  const onMessage = ({ topic, payload }: InboundMessage): void => {
    const parsed = parseTopic(topic);
    const leaf = LEAVES.find((name) => name === parsed?.kind);
    if (leaf === undefined || parsed === undefined || !('device' in parsed)) return;
    lastAtMs = clock.now();
    seen.set(parsed.device, withLeaf(seen.get(parsed.device) ?? {}, leaf, payload));
    for (const look of lookers.get(parsed.device) ?? []) look();
  };
  const filters = (device: string): readonly string[] =>
    LEAVES.map((kind) => formatTopic({ kind, tenant, device }));
  const wanted = devices.length === 1 ? filters(devices[0] ?? '') : filters('+');
  const stops: (() => void)[] = [];
  for (const filter of wanted) stops.push(await link.watch(filter, onMessage));

  const isComplete = (): boolean => devices.every((device) => isWhole(seen.get(device)));
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (isComplete() || clock.now() - lastAtMs >= QUIET_MS) resolve();
      else clock.after(QUIET_MS / 8, look);
    };
    lastAtMs = clock.now();
    look();
  });

  return {
    get: (device) => seen.get(device) ?? {},
    devices: () => [...seen.keys()],
    until: (device, look, deadlineMs) =>
      new Promise((resolve) => {
        const set = lookers.get(device) ?? new Set();
        lookers.set(device, set);
        const finish = (isSeen: boolean): void => {
          cancel();
          set.delete(check);
          resolve(isSeen);
        };
        const check = (): void => {
          if (look(seen.get(device) ?? {})) finish(true);
        };
        const cancel = clock.after(deadlineMs, () => finish(false));
        set.add(check);
        check();
      }),
    close: () => {
      for (const stop of stops) stop();
    },
  };
};
