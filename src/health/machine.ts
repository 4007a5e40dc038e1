/** Figures of the machine for health, read where that starts no process: steady state starts none. */
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { mem } from 'systeminformation';
import type { HealthMessage } from '../protocol/health-schema.ts';

/** Thermal zone 0 is the board's on every gateway we know; millidegrees. */
const THERMAL = '/sys/class/thermal/thermal_zone0/temp';

const temperature = async (): Promise<number | null> => {
  try {
    return Number(await readFile(THERMAL, 'utf8')) / 1000;
  } catch {
    return null;
  }
};

const diskUsed = async (path: string): Promise<number | undefined> => {
  try {
    const { blocks, bavail } = await statfs(path);
    return blocks === 0 ? undefined : 1 - bavail / blocks;
  } catch {
    return undefined;
  }
};

/** `cpu`, `mem` and `disk` are shares of 1, `t` degrees Celsius or null, `rss` our own resident KiB. Never rejects. */
export const machineFigures = async (stateDir: string): Promise<HealthMessage['sys']> => {
  const disk = await diskUsed(stateDir);
  const memory = await mem();
  return {
    cpu: (loadavg()[0] ?? 0) / availableParallelism(),
    mem: memory.total === 0 ? 0 : memory.active / memory.total,
    ...(disk === undefined ? {} : { disk }),
    t: await temperature(),
    rss: Math.round(process.memoryUsage.rss() / 1024),
  };
};
