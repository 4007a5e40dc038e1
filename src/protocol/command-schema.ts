/** `cmd/{op}`: one imperative, never retained, always with an end. */
import { type Static, Type } from 'typebox';
import {
  bootSchema,
  CLOSED,
  idSchema,
  nameSchema,
  openObject,
  revSchema,
  secondsSchema,
} from './schema-primitives.ts';

export const OPS = [
  'ping',
  'start',
  'stop',
  'restart',
  'rekey',
  'report',
  'cancel',
  'resync',
  'keys',
  'newkey',
] as const;
export type Op = (typeof OPS)[number];

/** Operations that may come over a group's topic: quick ones that are safe to repeat. */
export const GROUP_OPS: readonly Op[] = ['ping', 'report', 'stop', 'restart', 'resync'];

/** True for an operation this version knows. */
export const isOp = (op: string): op is Op => (OPS as readonly string[]).includes(op);

const startArgsSchema = Type.Object(
  {
    ep: Type.Union([nameSchema, Type.Literal('*')]),
    lease_s: Type.Optional(Type.Integer({ minimum: 60, maximum: 86_400 })),
  },
  CLOSED,
);

/** Compact JWE, sealed to the device's key. */
const sealedSchema = Type.String({
  minLength: 200,
  maxLength: 2048,
  pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]*){4}$',
});

const rekeyArgsSchema = Type.Object(
  {
    gen: revSchema,
    sealed: sealedSchema,
    mode: Type.Optional(Type.Enum(['overlap', 'break-first'])),
  },
  CLOSED,
);

const cancelArgsSchema = Type.Object({ id: idSchema }, CLOSED);

const keysArgsSchema = Type.Object(
  {
    set: Type.String({ maxLength: 8192, pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$' }),
  },
  CLOSED,
);

const newkeyArgsSchema = Type.Object({ sealed: sealedSchema }, CLOSED);

const argsOf = (ops: readonly Op[], args: object, more: object = {}): object => ({
  if: { properties: { op: { enum: ops } } },
  // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
  then: { required: ['args'], properties: { ...more, args } },
});

const baseSchema = Type.Object(
  {
    v: Type.Literal(1),
    id: idSchema,
    to: Type.String({ pattern: '^(d:[a-z0-9][a-z0-9-]{2,62}|g:[a-z][a-z0-9-]{0,31})$' }),
    op: Type.Enum([...OPS]),
    iat: secondsSchema,
    exp: secondsSchema,
    seq: revSchema,
    boot: Type.Optional(bootSchema),
    args: Type.Optional(openObject(8)),
  },
  {
    ...CLOSED,
    allOf: [
      argsOf(['start', 'stop'], startArgsSchema),
      argsOf(['rekey'], rekeyArgsSchema, { to: { pattern: '^d:' } }),
      argsOf(['cancel'], cancelArgsSchema),
      argsOf(['keys'], keysArgsSchema),
      argsOf(['newkey'], newkeyArgsSchema, { to: { pattern: '^d:' } }),
    ],
  },
);

/** The command schema; what it accepts is a `Command`. */
export const commandSchema = Type.Unsafe<Command>(baseSchema);

/** What every command carries. `iat` and `exp` are epoch seconds; `seq` rises per signing key and audience. */
export type CommandBase = Omit<Static<typeof baseSchema>, 'op' | 'args'>;
export type StartArgs = Static<typeof startArgsSchema>;
export type RekeyArgs = Static<typeof rekeyArgsSchema>;
export type CancelArgs = Static<typeof cancelArgsSchema>;
export type KeysArgs = Static<typeof keysArgsSchema>;
export type NewkeyArgs = Static<typeof newkeyArgsSchema>;

/** A command as it passed the schema, told apart by `op`. */
export type Command = CommandBase &
  (
    | {
        readonly op: 'ping' | 'restart' | 'report' | 'resync';
        readonly args?: Readonly<Record<string, unknown>>;
      }
    | { readonly op: 'start' | 'stop'; readonly args: StartArgs }
    | { readonly op: 'rekey'; readonly args: RekeyArgs }
    | { readonly op: 'cancel'; readonly args: CancelArgs }
    | { readonly op: 'keys'; readonly args: KeysArgs }
    | { readonly op: 'newkey'; readonly args: NewkeyArgs }
  );

/** Longest life of a command, `exp - iat`, in seconds: an hour, a day for `rekey`. Checked by code, not by the schema. */
export const maxLifeS = (op: Op): number => (op === 'rekey' ? 86_400 : 3600);
