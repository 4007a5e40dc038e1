/** Reads the arguments of a control operation. */

/** Tells whether a value is good, and in words what a good one is. */
export interface Arg<T> {
  readonly what: string;
  readonly isOptional: boolean;
  /** Undefined for a value that is not good. */
  read(value: unknown): T | undefined;
}

export type ArgTable = Readonly<Record<string, Arg<unknown>>>;
export type Args<S extends ArgTable> = {
  readonly [K in keyof S]: S[K] extends Arg<infer T> ? T : never;
};

const arg = <T>(what: string, read: (value: unknown) => T | undefined): Arg<T> => ({
  what,
  isOptional: false,
  read,
});

/** The same, or absent. */
export const optional = <T>(inner: Arg<T>): Arg<T | undefined> => ({ ...inner, isOptional: true });

export const flag: Arg<boolean> = arg('true or false', (value) =>
  typeof value === 'boolean' ? value : undefined,
);

export const oneOf = <const T extends string>(values: readonly T[]): Arg<T> =>
  arg(values.map((value) => `"${value}"`).join(' or '), (value) => values.find((known) => known === value));

/** A timer cannot wait longer than this; no count needs to be greater. */
const GREATEST = 2_000_000_000;

export const count: Arg<number> = arg(`a whole number from 0 to ${GREATEST}`, (value) =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= GREATEST ? value : undefined,
);

export const countOrNull: Arg<number | null> = arg(`${count.what}, or null`, (value) =>
  value === null ? null : count.read(value),
);

export const text = (what: string, isGood: (value: string) => boolean): Arg<string> =>
  arg(what, (value) => (typeof value === 'string' && isGood(value) ? value : undefined));

export const texts = (what: string, isGood: (value: string) => boolean): Arg<readonly string[]> =>
  arg(what, (value) =>
    Array.isArray(value) && value.every((item): item is string => typeof item === 'string' && isGood(item))
      ? value
      : undefined,
  );

/** The arguments, or a sentence that says what is wrong with them. */
export const readArgs = <S extends ArgTable>(
  table: S,
  given: Readonly<Record<string, unknown>>,
): Args<S> | string => {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(table, name)) return `"${name}" is not an argument of this operation`;
  }
  const args: Record<string, unknown> = {};
  for (const [name, { what, isOptional, read }] of Object.entries(table)) {
    const isGiven = Object.hasOwn(given, name);
    if (!isGiven && !isOptional) return `"${name}" is missing: it must be ${what}`;
    const value = isGiven ? read(given[name]) : undefined;
    if (isGiven && value === undefined) return `"${name}" must be ${what}`;
    args[name] = value;
  }
  return args as Args<S>;
};
