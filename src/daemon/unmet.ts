/** How a command ends whose wait was not met. */
import { type Fault, fault } from '../core/errors.ts';
import { endedWith, type Outcome } from './result-book.ts';

export const unmet = (
  end: { readonly end: 'deadline' } | { readonly end: 'aborted'; readonly why: string },
  what: Fault,
): Outcome => {
  if (end.end === 'deadline') return endedWith('failed', what);
  return end.why === 'cancelled'
    ? endedWith('cancelled', fault('CANCELLED', 'Cancelled by a later command.', false))
    : endedWith('superseded', fault('SUPERSEDED', 'A newer command or document took its place.', false));
};
