/** The few logging calls the daemon makes: object first, short constant message second. A pino logger is one. */
export type LogMethod = (fields: Readonly<Record<string, unknown>>, message: string) => void;

export interface Log {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}
