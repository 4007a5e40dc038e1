/** Single connections of one endpoint, told in batches: nothing is sent for each of them on its own. */
import type { Clock } from '../../core/clock.ts';
import type { ConnectionNote } from '../../core/tunnel-event.ts';

const BATCH_MS = 250;
/** More in one batch are only counted. */
const MAX_NOTES = 64;

export interface ConnectionNotes {
  add(note: ConnectionNote): void;
}

export const createConnectionNotes = (
  clock: Clock,
  tell: (notes: readonly ConnectionNote[], untold: number) => void,
): ConnectionNotes => {
  let notes: ConnectionNote[] = [];
  let untold = 0;
  let isDue = false;
  return {
    add: (note) => {
      if (notes.length < MAX_NOTES) notes.push(note);
      else untold += 1;
      if (isDue) return;
      isDue = true;
      clock.after(BATCH_MS, () => {
        tell(notes, untold);
        notes = [];
        untold = 0;
        isDue = false;
      });
    },
  };
};

const FORWARDED = /\r\nx-forwarded-for:[ \t]*([0-9a-f.:]{2,45})/i;

/** The visitor's address as the edge tells it in the head of a request; null without one. */
export const clientOf = (head: string): string | null => FORWARDED.exec(head)?.[1] ?? null;
