/** Figures of the machine for health, read where that starts no process: steady state starts none. */
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { mem } from 'systeminformation';
import type { HealthMessage } from '../protocol/health-schema.ts';

/** Thermal zone 0 is the board's on every gateway we know; millidegrees. */
const THERMAL = '/sys/class/thermal/thermal_zone0/temp';
const NET_DEV = '/proc/net/dev';

/** Shares are of 1; null where the machine does not tell. */
export interface MachineState {
  /** Load of the last minute per processor. */
  readonly load: number;
  readonly memoryUsed: number | null;
  /** Of the disk that the state folder is on. */
  readonly diskUsed: number | null;
  readonly temperatureC: number | null;
  /** Bytes since boot over all interfaces but loopback. */
  readonly networkIn: number | null;
  readonly networkOut: number | null;
  /** Our own resident KiB. */
  readonly rssKiB: number;
}

const temperature = async (): Promise<number | null> => {
  try {
    const degrees = Number(await readFile(THERMAL, 'utf8')) / 1000;
    return Number.isFinite(degrees) ? degrees : null;
  } catch {
    return null;
  }
};

const diskUsed = async (path: string): Promise<number | null> => {
  try {
    const { blocks, bavail } = await statfs(path);
    return blocks === 0 ? null : 1 - bavail / blocks;
  } catch {
    return null;
  }
};

/** Sums of the kernel's table: receive bytes are the first figure of a line, transmit bytes the ninth. */
export const networkBytes = (table: string): { readonly bytesIn: number; readonly bytesOut: number } => {
  let bytesIn = 0;
  let bytesOut = 0;
  for (const line of table.split('\n')) {
    const [, name, figures = ''] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || name === 'lo') continue;
    const all = figures.trim().split(/\s+/).map(Number);
    bytesIn += all[0] ?? 0;
    bytesOut += all[8] ?? 0;
  }
  return { bytesIn, bytesOut };
};

const network = async (): Promise<Pick<MachineState, 'networkIn' | 'networkOut'>> => {
  try {
    const { bytesIn, bytesOut } = networkBytes(await readFile(NET_DEV, 'utf8'));
    return { networkIn: bytesIn, networkOut: bytesOut };
  } catch {
    return { networkIn: null, networkOut: null };
  }
};

/** Reads everything now. Never rejects. */
export const machineState = async (stateDir: string): Promise<MachineState> => {
  const memory = await mem().catch(() => ({ total: 0, active: 0 }));
  return {
    load: (loadavg()[0] ?? 0) / availableParallelism(),
    memoryUsed: memory.total === 0 ? null : memory.active / memory.total,
    diskUsed: await diskUsed(stateDir),
    temperatureC: await temperature(),
    ...(await network()),
    rssKiB: Math.round(process.memoryUsage.rss() / 1024),
  };
};

/** The same in the words of a `health` message. */
export const machineFigures = async (stateDir: string): Promise<HealthMessage['sys']> => {
  const { load, memoryUsed, diskUsed: disk, temperatureC, rssKiB } = await machineState(stateDir);
  return {
    cpu: load,
    mem: memoryUsed ?? 0,
    ...(disk === null ? {} : { disk }),
    t: temperatureC,
    rss: rssKiB,
  };
};
