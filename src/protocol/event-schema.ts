/** `event/{class}`: something happened. */
import { type Static, Type } from 'typebox';
import {
  bootSchema,
  CLOSED,
  countSchema,
  nameSchema,
  openObject,
  secondsSchema,
} from './schema-primitives.ts';

export const EVENT_TYPES = [
  'endpoint.up',
  'endpoint.down',
  'endpoint.denied',
  'session.up',
  'session.lost',
  'cred.swapped',
  'cred.refused',
  'cred.request',
  'conn.summary',
  'security.alert',
  'store.degraded',
  'agent.start',
  'agent.stop',
  'condition.set',
  'condition.cleared',
  'conn.opened',
  'conn.closed',
  'conn.refused',
  'command.done',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Words with which the `cause` of `endpoint.down` begins. */
export const DOWN_CAUSES = ['command', 'lease', 'idle', 'window', 'desired', 'lock', 'session'] as const;
export type DownCause = (typeof DOWN_CAUSES)[number];

export const eventSchema = Type.Object(
  {
    v: Type.Literal(1),
    ts: secondsSchema,
    boot: bootSchema,
    n: countSchema,
    type: Type.Enum([...EVENT_TYPES]),
    ep: Type.Optional(nameSchema),
    code: Type.Optional(Type.String({ maxLength: 40 })),
    cause: Type.Optional(Type.String({ maxLength: 80 })),
    data: Type.Optional(openObject(12)),
  },
  CLOSED,
);

/** One event. `n` counts since boot, so a reader sees gaps; `ts` is epoch seconds. */
export type EventMessage = Static<typeof eventSchema>;
