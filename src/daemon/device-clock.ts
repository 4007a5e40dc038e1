/** What time it is for a device whose clock may be wrong, and how sure that is. */
import type { Clock } from '../core/clock.ts';
import type { JudgeTime } from '../protocol/judge-context.ts';

/** A forward jump of more than a day is not believed until time was seen to be synchronised. */
const JUMP_S = 86_400;

export interface DeviceClockOptions {
  readonly clock: Clock;
  /** Epoch seconds at which this program was built: no clock before it is right. */
  readonly buildS: number;
  /** True once the system says that its clock is synchronised. */
  isSynchronised(): boolean;
}

export interface DeviceClock {
  time(floorS: number): JudgeTime;
  /** The floor to store now, or the same one. */
  raise(floorS: number): number;
  /** True once since the last call when the wall clock jumped by more than a day against the monotonic one. */
  jumped(): boolean;
}

export const createDeviceClock = ({ clock, buildS, isSynchronised }: DeviceClockOptions): DeviceClock => {
  let offsetMs = clock.wall() - clock.now();
  const systemS = (): number => Math.floor(clock.wall() / 1000);
  const time = (floorS: number): JudgeTime => {
    const leastS = Math.max(floorS, buildS);
    const nowS = Math.max(systemS(), leastS);
    if (isSynchronised()) return { state: 'ntp', nowS };
    return { state: systemS() >= leastS ? 'rtc' : 'floor', nowS };
  };
  return {
    time,
    raise: (floorS) => {
      const nowS = systemS();
      if (nowS <= floorS) return floorS;
      const isLeap = floorS > 0 && nowS - floorS > JUMP_S && !isSynchronised();
      return isLeap ? floorS : nowS;
    },
    jumped: () => {
      const next = clock.wall() - clock.now();
      const hasJumped = Math.abs(next - offsetMs) > JUMP_S * 1000;
      offsetMs = next;
      return hasJumped;
    },
  };
};
