/** The store behind the plain resources: rows by id, seen by their own account only. */
import type { Body } from './fields.ts';

export interface Row {
  readonly id: string;
  readonly account: string;
  readonly createdAtMs: number;
  /** What was asked for, and what the stand-in decided; never a secret that ngrok would not show. */
  values: Readonly<Record<string, unknown>>;
}

export class Rows {
  readonly #rows = new Map<string, Row>();

  add(row: Row): void {
    this.#rows.set(row.id, row);
  }

  get(account: string, id: string): Row | null {
    const row = this.#rows.get(id);
    return row?.account === account ? row : null;
  }

  remove(row: Row): void {
    this.#rows.delete(row.id);
  }

  /** Newest first. */
  list(account: string): readonly Row[] {
    return this.all().filter((row) => row.account === account);
  }

  /** Of all accounts, newest first. */
  all(): readonly Row[] {
    return [...this.#rows.values()].reverse();
  }

  /** A row whose `name` field has this value. */
  named(account: string, field: string, value: string): Row | null {
    return this.list(account).find((row) => row.values[field] === value) ?? null;
  }
}

/** A value of a row that is a text; empty when it is not. */
export const rowText = (row: { readonly values: Body }, name: string): string => {
  const value = row.values[name];
  return typeof value === 'string' ? value : '';
};

/** A value of a row that is a list of texts. */
export const rowList = (row: { readonly values: Body }, name: string): readonly string[] => {
  const value = row.values[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
};
