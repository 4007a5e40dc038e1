/** `res/{id}`: the life of one command, a message per step. */
import { type Static, Type } from 'typebox';
import { bootSchema, CLOSED, idSchema, openObject, secondsSchema } from './schema-primitives.ts';

export const RESULT_STATUSES = [
  'accepted',
  'executing',
  'succeeded',
  'failed',
  'rejected',
  'expired',
  'cancelled',
  'superseded',
  'unknown',
] as const;
export type ResultStatus = (typeof RESULT_STATUSES)[number];
/** The statuses of which exactly one ends a command. */
export type TerminalStatus = Exclude<ResultStatus, 'accepted' | 'executing'>;

/** True for a status after which nothing more comes for that id. */
export const isTerminal = (status: ResultStatus): status is TerminalStatus =>
  status !== 'accepted' && status !== 'executing';

/** Longest `msg` of a result, in characters. */
export const MAX_MSG_LENGTH = 200;

export const resultSchema = Type.Object(
  {
    v: Type.Literal(1),
    id: idSchema,
    op: Type.String({ maxLength: 16 }),
    status: Type.Enum([...RESULT_STATUSES]),
    n: Type.Integer({ minimum: 1, maximum: 64 }),
    ts: secondsSchema,
    boot: bootSchema,
    dup: Type.Optional(Type.Boolean()),
    code: Type.Optional(Type.String({ pattern: '^[A-Z][A-Z0-9_]{2,39}$' })),
    msg: Type.Optional(Type.String({ maxLength: MAX_MSG_LENGTH })),
    retry_s: Type.Optional(Type.Integer({ minimum: 0 })),
    out: Type.Optional(openObject(8)),
  },
  CLOSED,
);

/** One step of a command's life. `n` counts from 1; `ts` is epoch seconds; `dup` marks a repeated terminal status. */
export type ResultMessage = Static<typeof resultSchema>;
