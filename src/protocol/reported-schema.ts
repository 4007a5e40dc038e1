/** `reported`: the retained document of what is observed. */
import { type Static, Type } from 'typebox';
import {
  bootSchema,
  CLOSED,
  clockStateSchema,
  nameSchema,
  revSchema,
  secondsSchema,
} from './schema-primitives.ts';

/** Endpoint states on the wire and in `status --json`. */
export const ENDPOINT_STATES = ['up', 'opening', 'down', 'failed', 'denied'] as const;
/** The ngrok session on the wire; `up` is `connected` in `status --json`. */
export const SESSION_STATES = ['up', 'connecting', 'down', 'auth-failed', 'stopped'] as const;

const reportedEndpointSchema = Type.Object(
  {
    name: nameSchema,
    state: Type.Enum([...ENDPOINT_STATES]),
    url: Type.Optional(Type.String()),
    since: Type.Optional(secondsSchema),
    code: Type.Optional(Type.String({ maxLength: 40 })),
    by: Type.Optional(Type.Enum(['desired', 'lease'])),
    lease_end: Type.Optional(secondsSchema),
  },
  CLOSED,
);

const reportedConditionSchema = Type.Object(
  {
    code: Type.String({ maxLength: 40 }),
    severity: Type.Enum(['info', 'warning', 'error']),
    since: secondsSchema,
    msg: Type.Optional(Type.String({ maxLength: 120 })),
    ep: Type.Optional(nameSchema),
  },
  CLOSED,
);

export const reportedSchema = Type.Object(
  {
    v: Type.Literal(1),
    ts: secondsSchema,
    boot: bootSchema,
    rev: revSchema,
    applied: Type.Optional(revSchema),
    bad: Type.Optional(
      Type.Object({ rev: Type.Optional(revSchema), code: Type.String({ maxLength: 40 }) }, CLOSED),
    ),
    clk: Type.Optional(clockStateSchema),
    cred: Type.Object(
      {
        gen: revSchema,
        want: Type.Optional(revSchema),
        fp: Type.Optional(Type.String({ pattern: '^[0-9a-f]{8}$' })),
        state: Type.Optional(Type.Enum(['ok', 'refused', 'missing', 'revoked'])),
      },
      CLOSED,
    ),
    session: Type.Object(
      {
        state: Type.Enum([...SESSION_STATES]),
        since: Type.Optional(secondsSchema),
        err: Type.Optional(Type.String({ maxLength: 40 })),
      },
      CLOSED,
    ),
    endpoints: Type.Array(reportedEndpointSchema, { maxItems: 32 }),
    locked: Type.Optional(Type.Boolean()),
    conditions: Type.Optional(Type.Array(reportedConditionSchema, { maxItems: 16 })),
    last: Type.Optional(
      Type.Array(Type.Unsafe<readonly (string | number)[]>({ type: 'array', minItems: 2, maxItems: 3 }), {
        maxItems: 8,
      }),
    ),
  },
  CLOSED,
);

/**
 * The retained report. `rev` is the highest desired revision accepted, `applied` the highest fully converged, `last`
 * the newest terminal results as `[id, status]` or `[id, status, code]`, newest first.
 */
export type ReportedMessage = Static<typeof reportedSchema>;
export type ReportedEndpoint = Static<typeof reportedEndpointSchema>;
export type ReportedCondition = Static<typeof reportedConditionSchema>;
