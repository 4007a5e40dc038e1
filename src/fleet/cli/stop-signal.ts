/** Ctrl-C on work that should not be cut in the middle: the first asks for an end, the second ends at once. */

/** What a shell shows for a program that SIGINT ended. */
const EXIT_BY_SIGINT = 130;

export interface StopSignal {
  readonly signal: AbortSignal;
  dispose(): void;
}

/** @param onFirst says to the person what happens now */
export const stopOnSignal = (onFirst: () => void): StopSignal => {
  const stopping = new AbortController();
  const onSignal = (): void => {
    if (stopping.signal.aborted) process.exit(EXIT_BY_SIGINT);
    stopping.abort(new Error('asked to stop'));
    onFirst();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: stopping.signal,
    dispose: () => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
};
