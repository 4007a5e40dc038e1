/** `health`: figures at a fixed phase of the interval, QoS 0. */
import { type Static, Type } from 'typebox';
import {
  bootSchema,
  CLOSED,
  clockStateSchema,
  countSchema,
  openObject,
  secondsSchema,
} from './schema-primitives.ts';

export const healthSchema = Type.Object(
  {
    v: Type.Literal(1),
    ts: secondsSchema,
    boot: bootSchema,
    n: countSchema,
    up: Type.Optional(countSchema),
    sess: Type.String(),
    lat: Type.Optional(Type.Number()),
    eps: Type.Optional(Type.Array(openObject(), { maxItems: 32 })),
    sys: Type.Optional(
      Type.Object({
        cpu: Type.Optional(Type.Number()),
        mem: Type.Optional(Type.Number()),
        disk: Type.Optional(Type.Number()),
        t: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
        rss: Type.Optional(Type.Number()),
      }),
    ),
    q: Type.Optional(
      Type.Object({ out: Type.Optional(Type.Integer()), drop: Type.Optional(Type.Integer()) }),
    ),
    sec: Type.Optional(
      Type.Unsafe<Readonly<Record<string, number>>>({
        type: 'object',
        additionalProperties: { type: 'integer' },
      }),
    ),
    clk: Type.Optional(clockStateSchema),
  },
  CLOSED,
);

/**
 * One health message. `n` counts without gaps since boot, `up` is uptime in seconds, `sess` the session state, `lat`
 * the heartbeat latency in ms, `sec` what intake dropped since boot by counter.
 */
export type HealthMessage = Static<typeof healthSchema>;
