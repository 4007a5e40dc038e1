/** `desired`: the retained, signed, numbered document that says what a device should have. */
import { type Static, Type } from 'typebox';
import { CLOSED, deviceIdSchema, nameSchema, revSchema, secondsSchema } from './schema-primitives.ts';

/** A name from the device's upstreams, or a URL that its `allowUpstreams` covers. No user info, query or fragment. */
const UPSTREAM_PATTERN = '^([a-z][a-z0-9-]{0,31}|(https?|tcp|tls)://[^@/?#\\s]+(/[^\\s]*)?)$';

export const desiredEndpointSchema = Type.Object(
  {
    name: nameSchema,
    on: Type.Boolean(),
    proto: Type.Enum(['http', 'tcp', 'tls']),
    upstream: Type.String({ maxLength: 200, pattern: UPSTREAM_PATTERN }),
    url: Type.Optional(Type.String({ maxLength: 253 })),
    policy: Type.Optional(nameSchema),
    ttl_s: Type.Optional(Type.Integer({ minimum: 60, maximum: 2_592_000 })),
    binding: Type.Optional(Type.Enum(['public', 'internal'])),
    metadata: Type.Optional(Type.String({ maxLength: 1024 })),
    metering: Type.Optional(Type.Enum(['on', 'off'])),
    idle_s: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
    windows: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 14 })),
  },
  CLOSED,
);

export const desiredSchema = Type.Object(
  {
    v: Type.Literal(1),
    dev: deviceIdSchema,
    rev: revSchema,
    iat: secondsSchema,
    endpoints: Type.Array(desiredEndpointSchema, { maxItems: 32 }),
    cred: Type.Optional(Type.Object({ gen: revSchema, revoked: Type.Optional(Type.Boolean()) }, CLOSED)),
    groups: Type.Optional(Type.Array(nameSchema, { maxItems: 16 })),
    report: Type.Optional(
      Type.Object(
        {
          health_s: Type.Optional(Type.Integer({ minimum: 15, maximum: 86_400 })),
          conn_s: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
          spread_s: Type.Optional(Type.Integer({ minimum: 0, maximum: 7200 })),
        },
        CLOSED,
      ),
    ),
  },
  CLOSED,
);

/** One endpoint of a desired document, before defaults and the local allow-list. */
export type DesiredEndpoint = Static<typeof desiredEndpointSchema>;
/** A desired document as it passed the schema. */
export type DesiredDocument = Static<typeof desiredSchema>;
