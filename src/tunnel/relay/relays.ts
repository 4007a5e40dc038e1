/** What the relays of one process have in common: buffers, and the descriptors that there are for all of them. */
import type { Clock } from '../../core/clock.ts';
import type { BindSpec } from '../../core/endpoint.ts';
import type { ProcessEvent } from '../messages.ts';
import { createStreamBudget, isShortOfDescriptors } from './budget.ts';
import { createBufferPool } from './buffer-pool.ts';
import { createConnectionNotes } from './connection-notes.ts';
import { createEndpointRelay, type EndpointRelay } from './endpoint-relay.ts';

const SWEEP_MS = 2_000;
const READ_BUFFER_BYTES = 65_536;
const IDLE_READ_BUFFERS = 16;

export interface RelaysOptions {
  readonly clock: Clock;
  readonly emit: (event: ProcessEvent) => void;
  /** Whether relays made from now on tell of single connections. */
  readonly tellConnections: () => boolean;
  /** Those in use, and those that drain. */
  readonly all: () => readonly EndpointRelay[];
}

export interface Relays {
  /** `path` is the socket that it will listen on. */
  make(spec: BindSpec, path: string): EndpointRelay;
  /** The SDK could not dial one of them, though it listens: only want of descriptors explains that. */
  dialFailed(): void;
  /** Tells standing conditions again, to a supervisor that has just come. */
  repeat(): void;
}

export const createRelays = ({ clock, emit, tellConnections, all }: RelaysOptions): Relays => {
  const buffers = createBufferPool(READ_BUFFER_BYTES, IDLE_READ_BUFFERS);
  const budget = createStreamBudget(clock, (on, refused) => emit({ type: 'saturated', on, refused }));

  /** At the limit the system closes connections before anybody here sees them. */
  const lookAtDescriptors = async (): Promise<void> => {
    if (all().some((relay) => relay.open > 0) && (await isShortOfDescriptors())) budget.short();
  };
  const sweep = (): void => {
    for (const relay of all()) relay.sweep();
    void lookAtDescriptors();
    budget.tick();
    clock.after(SWEEP_MS, sweep);
  };
  clock.after(SWEEP_MS, sweep);

  return {
    make: (spec, path) =>
      createEndpointRelay({
        spec,
        path,
        clock,
        buffers,
        budget,
        makeRoom: () => all().some((relay) => relay.evictIdle()),
        onUpstream: (problem) => emit({ type: 'upstream', endpoint: spec.name, fault: problem }),
        notes: tellConnections()
          ? createConnectionNotes(clock, (notes, untold) =>
              emit({ type: 'connections', endpoint: spec.name, notes, untold }),
            )
          : null,
      }),
    dialFailed: () => {
      void isShortOfDescriptors().then((isShort) => {
        if (isShort) budget.exhausted();
      });
    },
    repeat: () => {
      budget.repeat();
      for (const relay of all()) relay.repeat();
    },
  };
};
