/** What some devices keep published, for a rotation: one by its own topics, more by the view of the whole fleet. */
import { type Clock, sleep } from '../core/clock.ts';
import type { InboundMessage } from '../daemon/ports.ts';
import { formatTopic } from '../protocol/topics.ts';
import type { FleetLink } from './fleet-link.ts';
import { openFleetView } from './watch/fleet-view.ts';
import { type DeviceSeen, foldMessage, missingLeaves, STORED_LEAVES, UNSEEN } from './watch/seen.ts';

export interface DeviceView {
  /** The newest of each kind; what was never published, or cannot be read, is absent. */
  get(device: string): DeviceSeen;
  /** Resolves when `look` is true for what the device shows, at once or later; false when the time is over. */
  until(device: string, look: (seen: DeviceSeen) => boolean, deadlineMs: number): Promise<boolean>;
  close(): void;
}

/** Where the newest comes from. */
interface Source {
  get(device: string): DeviceSeen | undefined;
  onChange(listener: (device: string) => void): () => void;
  close(): void;
}

/** A device that has not shown all it keeps published by then does not have it. */
const STORED_WAIT_MS = 2000;

const openOne = async (link: FleetLink, device: string, clock: Clock): Promise<Source> => {
  const { tenant } = link;
  const listeners = new Set<(device: string) => void>();
  let seen: DeviceSeen | undefined;
  const stop = await link.watchAll(
    STORED_LEAVES.map((kind) => formatTopic({ kind, tenant, device })),
    (message: InboundMessage) => {
      const folded = foldMessage(() => seen, message, clock.wall());
      if (folded === null) return;
      seen = folded.seen;
      for (const listener of [...listeners]) listener(device);
    },
  );
  const untilMs = clock.now() + STORED_WAIT_MS;
  while (missingLeaves(seen).length > 0 && clock.now() < untilMs) await sleep(clock, STORED_WAIT_MS / 40);
  return {
    get: () => seen,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: stop,
  };
};

const openMany = async (link: FleetLink, devices: readonly string[], clock: Clock): Promise<Source> => {
  const view = await openFleetView(link, clock, { known: devices, isLive: false });
  return {
    get: (device) => view.devices().get(device),
    onChange: (listener) => view.onChange(listener),
    close: view.close,
  };
};

/**
 * Watches the devices, and waits until what is stored of them has come. Rejects with a `LockkeeperError` when the broker
 * refuses.
 */
export const openDeviceView = async (
  link: FleetLink,
  devices: readonly string[],
  clock: Clock,
): Promise<DeviceView> => {
  const [only] = devices;
  const source =
    devices.length === 1 && only !== undefined
      ? await openOne(link, only, clock)
      : await openMany(link, devices, clock);
  const lookers = new Map<string, Set<() => void>>();
  const stop = source.onChange((device) => {
    for (const look of [...(lookers.get(device) ?? [])]) look();
  });
  const get = (device: string): DeviceSeen => source.get(device) ?? UNSEEN;

  return {
    get,
    until: (device, look, deadlineMs) =>
      new Promise((resolve) => {
        const set = lookers.get(device) ?? new Set();
        lookers.set(device, set);
        const finish = (isSeen: boolean): void => {
          cancel();
          set.delete(check);
          if (set.size === 0) lookers.delete(device);
          resolve(isSeen);
        };
        const check = (): void => {
          if (look(get(device))) finish(true);
        };
        const cancel = clock.after(deadlineMs, () => finish(false));
        set.add(check);
        check();
      }),
    close: () => {
      stop();
      source.close();
    },
  };
};
