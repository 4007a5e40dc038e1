/** `presence`: the MQTT link's birth, will and goodbye. `hello`: what the device is and can. */
import { type Static, Type } from 'typebox';
import { bootSchema, CLOSED, clockStateSchema, countSchema, secondsSchema } from './schema-primitives.ts';

export const presenceSchema = Type.Object(
  {
    v: Type.Literal(1),
    online: Type.Boolean(),
    boot: bootSchema,
    n: countSchema,
    ts: Type.Optional(secondsSchema),
    why: Type.Optional(Type.Enum(['lost', 'shutdown', 'restart'])),
  },
  CLOSED,
);

/** `n` is the connection's ordinal within this boot; birth and will of one connection carry the same. */
export type PresenceMessage = Static<typeof presenceSchema>;

export const helloSchema = Type.Object(
  {
    v: Type.Literal(1),
    boot: bootSchema,
    agent: Type.String(),
    ngrok: Type.Optional(Type.String()),
    node: Type.Optional(Type.String()),
    arch: Type.Optional(Type.String()),
    os: Type.Optional(Type.String()),
    proto: Type.Enum([4, 5]),
    clk: Type.Optional(clockStateSchema),
    trust: Type.Enum(['signed', 'broker']),
    enc: Type.Optional(
      Type.Object({
        kid: Type.String(),
        kty: Type.Optional(Type.Literal('OKP')),
        crv: Type.Literal('X25519'),
        x: Type.String(),
      }),
    ),
    sigKids: Type.Optional(Type.Array(Type.String())),
    ops: Type.Array(Type.String()),
    max: Type.Optional(
      Type.Object({ pkt: Type.Optional(Type.Integer()), eps: Type.Optional(Type.Integer()) }),
    ),
    store: Type.Optional(Type.Enum(['tpm', 'host', 'file'])),
  },
  CLOSED,
);

/** Retained self-description, published on change. `enc` is the key to which tokens are sealed. */
export type HelloMessage = Static<typeof helloSchema>;
