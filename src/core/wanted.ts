/** Which endpoints are to be open now: declarations, overrides, time-to-live and the lock, folded into one answer. */
import type { EndpointSpec } from './endpoint.ts';
import type { Override } from './override.ts';

export interface WantedInputs {
  readonly file: readonly EndpointSpec[];
  /** Endpoints of the desired document; one that the file declares too is replaced by it. */
  readonly document: readonly EndpointSpec[];
  readonly overrides: readonly Override[];
  /** Monotonic milliseconds at which the document was accepted; `ttlS` counts from here. */
  readonly documentAcceptedAt: number;
  /** Endpoints with weekly windows: whether one is open now. Absent means no windows. */
  readonly windowOpen: Readonly<Record<string, boolean>>;
}

export type WantedBy = 'desired' | 'lease';

/** Why an endpoint is not wanted; the `cause` of its `endpoint.down` event. */
export type DownCause = 'command' | 'lease' | 'idle' | 'window' | 'desired';

export interface Wanted {
  readonly spec: EndpointSpec;
  readonly up: boolean;
  readonly by: WantedBy;
  /** Monotonic milliseconds at which the answer changes by itself; null when it does not. */
  readonly until: number | null;
  readonly downCause: DownCause;
}

/** All declared endpoints by name, the document's word over the file's. */
export const declared = (
  file: readonly EndpointSpec[],
  document: readonly EndpointSpec[],
): ReadonlyMap<string, EndpointSpec> => new Map([...file, ...document].map((spec) => [spec.name, spec]));

const judge = (spec: EndpointSpec, inputs: WantedInputs, now: number): Wanted => {
  const override = inputs.overrides.find((o) => o.endpoint === spec.name);
  if (override !== undefined && (override.endsAt === null || override.endsAt > now)) {
    const isLease = override.want === 'up' && override.endsAt !== null;
    return {
      spec,
      up: override.want === 'up',
      by: isLease ? 'lease' : 'desired',
      until: override.endsAt,
      downCause: override.cause,
    };
  }
  const ttlEnd = spec.ttlS > 0 ? inputs.documentAcceptedAt + spec.ttlS * 1000 : null;
  const expired = ttlEnd !== null && ttlEnd <= now;
  const windowOpen = inputs.windowOpen[spec.name] ?? true;
  return {
    spec,
    up: spec.on && !expired && windowOpen,
    by: 'desired',
    until: spec.on && !expired ? ttlEnd : null,
    downCause: expired ? 'lease' : windowOpen ? 'desired' : 'window',
  };
};

/** Judges every declared endpoint at `now`. Order follows the declarations. */
export const wantedAt = (inputs: WantedInputs, now: number): ReadonlyMap<string, Wanted> =>
  new Map(
    [...declared(inputs.file, inputs.document)].map(([name, spec]) => [name, judge(spec, inputs, now)]),
  );

/** The next moment at which `wantedAt` answers differently without any input changing; null when never. */
export const nextChange = (wanted: ReadonlyMap<string, Wanted>): number | null => {
  const times = [...wanted.values()].flatMap((w) => (w.until === null ? [] : [w.until]));
  return times.length === 0 ? null : Math.min(...times);
};
