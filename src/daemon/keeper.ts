/** A stored record that several parts change: each changes its own members, and no change is lost between two writes. */
import type { Result } from '../core/errors.ts';
import type { Store } from './ports.ts';

export interface Keeper<T extends object> {
  get(): T;
  /** Counts in memory at once; the promise tells whether the disk has it. */
  update(change: Partial<T>): Promise<Result<void>>;
  readonly recovered: Store<T>['recovered'];
}

export const createKeeper = <T extends object>(store: Store<T>): Keeper<T> => {
  let value = store.get();
  return {
    get: () => value,
    update: (change) => {
      value = { ...value, ...change };
      return store.save(value);
    },
    recovered: store.recovered,
  };
};
