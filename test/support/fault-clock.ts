/** The daemon under a wall clock that can jump. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Device } from './device.ts';
import { spawnNode } from './spawn-node.ts';

export interface FaultClock {
  /** Sets the daemon's clock so many seconds ahead of the true one, or behind it. */
  set(aheadS: number): Promise<void>;
  /** Starts the daemon under this clock; resolves once its link stands. */
  start(): Promise<void>;
}

const PRELOAD = new URL('./fault-clock-preload.mjs', import.meta.url).href;

/** @param device one whose daemon the test has not started */
export const faultClock = (device: Device): FaultClock => {
  const file = join(device.dir, 'clock');
  const set = async (aheadS: number): Promise<void> => {
    await writeFile(`${file}.next`, String(aheadS * 1000));
    await rename(`${file}.next`, file);
  };
  return {
    set,
    start: async () => {
      const { pid } = spawnNode('src/lockkeeperd.ts', ['--config', device.configFile], {
        nodeArgs: ['--import', PRELOAD],
        env: { FAULT_CLOCK_FILE: file },
        autoKill: false,
      });
      await device.until(
        (s) => s.pid === pid && s.link.state === 'connected',
        'the link under another clock',
      );
    },
  };
};
