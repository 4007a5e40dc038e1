/** Whether the daemon does its work, for the watchdog: a process that only keeps its timers is not alive. */

/** A round waits for the disk at most; this long it takes on none that works. */
const LONGEST_ROUND_MS = 60_000;
/** A silent process is asked every 5 s, given up after 10 more and killed after 2: later than this nobody looks after it. */
const LONGEST_SILENCE_MS = 45_000;

interface Process {
  readonly tunnel: string;
  readonly silentMs: number;
}

/** Says what is stuck; null when nothing is. */
export const stalled = (roundMs: number, processes: readonly Process[]): string | null => {
  if (roundMs > LONGEST_ROUND_MS) return `the loop has been in one round for ${Math.round(roundMs / 1000)} s`;
  const silent = processes.find(({ silentMs }) => silentMs > LONGEST_SILENCE_MS);
  return silent === undefined
    ? null
    : `tunnel process ${silent.tunnel} has been silent for ${Math.round(silent.silentMs / 1000)} s`;
};
