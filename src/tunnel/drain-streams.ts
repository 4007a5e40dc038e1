import { type Clock, sleep } from '../core/clock.ts';
import type { CutStreams } from '../core/tunnel-event.ts';
import type { EndpointRelay } from './relay/endpoint-relay.ts';

/** A request that the edge sent just before it took the endpoint down is on its way for so long at most. */
const QUIET_MS = 250;
/** How often a drain looks. */
export const DRAIN_LOOK_MS = 50;
/** How long ended connections may take to hand over what they hold, once no request is under way. */
const FLUSH_MS = 2_000;

/**
 * Waits until the relay of an endpoint that is down at the edge owes nobody a byte, for `drainMs` at most, and closes it.
 * Resolves with the streams that were cut. Of an unmetered endpoint (`null`) nothing is known: its streams get a moment.
 */
export const drainStreams = async (
  relay: EndpointRelay | null,
  drainMs: number,
  clock: Clock,
): Promise<readonly CutStreams[]> => {
  if (relay === null) {
    await sleep(clock, Math.min(drainMs, FLUSH_MS));
    return [];
  }
  const startedAtMs = clock.now();
  const until = startedAtMs + drainMs;
  const isQuiet = (): boolean =>
    relay.inFlight().length === 0 && relay.quietMs() >= QUIET_MS && clock.now() - startedAtMs >= QUIET_MS;
  while (!isQuiet() && clock.now() < until) await sleep(clock, Math.min(DRAIN_LOOK_MS, until - clock.now()));
  const cut = relay.inFlight();
  if (cut.length === 0) {
    relay.endIdle();
    const flushUntil = Math.min(until, clock.now() + FLUSH_MS);
    while (relay.open > 0 && clock.now() < flushUntil) await sleep(clock, DRAIN_LOOK_MS);
  }
  relay.close();
  return cut;
};
