/** `health`: figures at a fixed phase of the interval, with an `n` that has no gaps. */
import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { HealthMessage } from '../protocol/health-schema.ts';
import type { JudgeTime } from '../protocol/judge-context.ts';
import { DELIVERY, healthMessage } from '../protocol/messages.ts';
import type { OutboundMessage } from './ports.ts';
import type { EndpointSnapshot, Snapshot } from './snapshot.ts';

export interface HealthBeatOptions {
  readonly clock: Clock;
  readonly topic: string;
  readonly device: string;
  readonly boot: string;
  time(): JudgeTime;
  snapshot(): Snapshot;
  figures(): Promise<Pick<HealthMessage, 'sys' | 'sec' | 'up' | 'q'>>;
  /** Active hours of this month, by endpoint. */
  activeHours(): Readonly<Record<string, { readonly month: number }>>;
  /** Seconds between two messages. */
  everyS(): number;
  /** True once it was handed to the broker. */
  send(message: OutboundMessage): Promise<boolean>;
}

export interface HealthBeat {
  sendNow(): Promise<void>;
  start(): void;
  stop(): void;
}

/** Every device has its own place in the interval, the same after each restart. Milliseconds. */
export const healthPhaseMs = (device: string, intervalMs: number): number =>
  createHash('sha256').update(device).digest().readUInt32BE(0) % intervalMs;

/** What is 0 is left out: most endpoints are idle most of the time. */
const unlessZero = (fields: Readonly<Record<string, number>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== 0));

const endpointFigures = (e: EndpointSnapshot, hours: number): Readonly<Record<string, unknown>> => ({
  name: e.name,
  state: e.state,
  req: e.counters.requests,
  conn: e.counters.connections,
  in: e.counters.bytesIn,
  out: e.counters.bytesOut,
  ...unlessZero({
    open: e.counters.open,
    e5: e.counters.responses[4],
    ref: e.counters.refused,
    fail: e.counters.upstreamFailures,
    act_h: hours,
  }),
});

export const createHealthBeat = (options: HealthBeatOptions): HealthBeat => {
  const { clock } = options;
  let n = 0;
  let cancel: (() => void) | undefined;
  let isStarted = false;

  const sendNow = async (): Promise<void> => {
    const s = options.snapshot();
    const figures = await options.figures();
    const hours = options.activeHours();
    const message = healthMessage({
      ts: options.time().nowS,
      boot: options.boot,
      n,
      sess: s.session.state === 'connected' ? 'up' : s.session.state,
      ...(s.session.latencyMs === null ? {} : { lat: s.session.latencyMs }),
      eps: s.endpoints.map((e) => endpointFigures(e, hours[e.name]?.month ?? 0)),
      clk: options.time().state,
      ...figures,
    });
    // Counts what was handed to the broker.
    const isSent = await options.send({
      topic: options.topic,
      payload: JSON.stringify(message),
      ...DELIVERY.health,
      expiryS: 2 * options.everyS(),
    });
    if (isSent) n++;
  };

  const schedule = (): void => {
    cancel?.();
    const intervalMs = options.everyS() * 1000;
    const phaseMs = healthPhaseMs(options.device, intervalMs);
    const waitMs = intervalMs - ((clock.wall() - phaseMs) % intervalMs);
    cancel = clock.after(waitMs, () => {
      void sendNow().finally(() => {
        if (isStarted) schedule();
      });
    });
  };

  return {
    sendNow,
    start: () => {
      isStarted = true;
      schedule();
    },
    stop: () => {
      isStarted = false;
      cancel?.();
    },
  };
};
