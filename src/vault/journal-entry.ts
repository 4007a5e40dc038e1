/** What the journal keeps of one command. */
import { type Static, Type } from 'typebox';
import { RESULT_STATUSES } from '../protocol/result-schema.ts';
import { CLOSED, idSchema, openObject } from '../protocol/schema-primitives.ts';
import { checker } from '../protocol/validate.ts';

const entrySchema = Type.Object(
  {
    id: idSchema,
    op: Type.String({ maxLength: 16 }),
    status: Type.Enum([...RESULT_STATUSES]),
    n: Type.Integer({ minimum: 1 }),
    code: Type.Optional(Type.String()),
    msg: Type.Optional(Type.String()),
    out: Type.Optional(openObject()),
    ts: Type.Integer({ minimum: 0 }),
    digest: Type.String(),
    attempts: Type.Integer({ minimum: 0 }),
    expS: Type.Integer({ minimum: 0 }),
  },
  CLOSED,
);

/**
 * The last known step of one command. `ts` and `expS` are epoch seconds: when the step was, and the command's own end.
 * `digest` and `attempts` tell how often this very message was begun: one that crashes its handler is given up.
 */
export type JournalEntry = Static<typeof entrySchema>;

const check = checker(entrySchema);

/** The entry, or undefined when it is none. */
export const readEntry = (value: unknown): JournalEntry | undefined => {
  const checked = check(value);
  return checked.ok ? checked.value : undefined;
};

/** Whether `later` is the further step of the same command. */
export const isFurther = (later: JournalEntry, earlier: JournalEntry | undefined): boolean =>
  earlier === undefined ||
  later.n > earlier.n ||
  (later.n === earlier.n && later.attempts >= earlier.attempts);
