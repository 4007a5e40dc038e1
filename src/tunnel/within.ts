import type { Clock } from '../core/clock.ts';

/** How a promise ended that was given a deadline. */
export type Outcome<T> =
  | { readonly kind: 'resolved'; readonly value: T }
  | { readonly kind: 'rejected'; readonly error: unknown }
  | { readonly kind: 'expired' };

/** Waits for `promise`, at most `ms`. Never rejects; after the deadline the promise's own end is ignored. */
export const within = <T>(clock: Clock, ms: number, promise: Promise<T>): Promise<Outcome<T>> =>
  new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve({ kind: 'expired' }));
    promise.then(
      (value) => {
        cancel();
        resolve({ kind: 'resolved', value });
      },
      (error: unknown) => {
        cancel();
        resolve({ kind: 'rejected', error });
      },
    );
  });
