/** What time it is for a device whose clock may be wrong, and how sure that is. */
import type { Clock } from '../core/clock.ts';
import { type JudgeTime, SKEW_S } from '../protocol/judge-context.ts';

/**
 * A forward jump of more than a day is not believed until time was seen to be synchronised, or so many commands that
 * were accepted were made at the time that this clock shows.
 */
const JUMP_S = 86_400;
const WITNESSES = 2;

export interface DeviceClockOptions {
  readonly clock: Clock;
  /** Epoch seconds at which this program was built: no clock before it is right. */
  readonly buildS: number;
  /** True once the system says that its clock is synchronised. */
  isSynchronised(): boolean;
}

export interface DeviceClock {
  time(floorS: number): JudgeTime;
  /** The floor to store now, or the same one. `iatS` is when the sender of an accepted command says it was made. */
  raise(floorS: number, iatS: number): number;
  /** True once since the last call when the wall clock jumped by more than a day against the monotonic one. */
  jumped(): boolean;
}

export const createDeviceClock = ({ clock, buildS, isSynchronised }: DeviceClockOptions): DeviceClock => {
  const offset = (): number => clock.wall() - clock.now();
  const isFar = (a: number, b: number): boolean => Math.abs(a - b) > JUMP_S * 1000;
  let offsetMs = offset();
  /** How many agreed in a row, and with which clock. */
  let witnesses = { count: 0, offsetMs };
  const systemS = (): number => Math.floor(clock.wall() / 1000);
  const time = (floorS: number): JudgeTime => {
    const leastS = Math.max(floorS, buildS);
    const nowS = Math.max(systemS(), leastS);
    if (isSynchronised()) return { state: 'ntp', nowS };
    return { state: systemS() >= leastS ? 'rtc' : 'floor', nowS };
  };
  return {
    time,
    raise: (floorS, iatS) => {
      const nowS = systemS();
      const before = isFar(offset(), witnesses.offsetMs) ? 0 : witnesses.count;
      witnesses = { count: Math.abs(nowS - iatS) <= SKEW_S ? before + 1 : 0, offsetMs: offset() };
      if (nowS <= floorS) return floorS;
      const isLeap = floorS > 0 && nowS - floorS > JUMP_S && !isSynchronised();
      return isLeap && witnesses.count < WITNESSES ? floorS : nowS;
    },
    jumped: () => {
      const next = offset();
      const hasJumped = isFar(next, offsetMs);
      offsetMs = next;
      return hasJumped;
    },
  };
};
