/** Events that follow from two snapshots in a row. Pure: what changed, not who changed it. */
import type { Condition } from '../core/condition.ts';
import type { EventType } from '../protocol/event-schema.ts';
import { downCause, isDownCause } from '../protocol/messages.ts';
import type { EndpointSnapshot, Snapshot } from './snapshot.ts';

export interface EventDraft {
  readonly type: EventType;
  readonly ep?: string;
  readonly code?: string;
  readonly cause?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** What the cloud was told last of the device's state; events tell of what differs from it. */
export interface Told {
  readonly session: Pick<Snapshot['session'], 'state'>;
  readonly endpoints: readonly Pick<EndpointSnapshot, 'name' | 'state' | 'url' | 'since'>[];
  readonly conditions: readonly Condition[];
  /** Monotonic milliseconds since when the session is away; null while it is not. */
  readonly lostAt: number | null;
}

const ngrokData = (code: string | undefined): Pick<EventDraft, 'data'> =>
  code === undefined ? {} : { data: { ngrokCode: code } };

const endpointEvents = (
  before: Told['endpoints'][number] | undefined,
  now: EndpointSnapshot,
  session: Snapshot['session'],
): readonly EventDraft[] => {
  if (before?.state === now.state && (now.state !== 'up' || before.url === now.url)) return [];
  if (now.state === 'up') return [{ type: 'endpoint.up', ep: now.name, data: { url: now.url } }];
  if (now.state === 'denied' || now.state === 'failed')
    return [
      {
        type: 'endpoint.denied',
        ep: now.name,
        ...(now.lastError === null
          ? {}
          : { code: now.lastError.code, ...ngrokData(now.lastError.ngrokCode) }),
      },
    ];
  if (before?.state !== 'up') return [];
  const word = session.state === 'connected' || isDownCause(now.downCause) ? now.downCause : 'session';
  return [{ type: 'endpoint.down', ep: now.name, cause: downCause(word) }];
};

const sessionEvents = (
  before: Told['session'] | undefined,
  now: Snapshot['session'],
  awayMs: number,
): readonly EventDraft[] => {
  if (before?.state === now.state) return [];
  if (now.state === 'connected')
    return [{ type: 'session.up', data: { gen: now.generation, away_s: Math.round(awayMs / 1000) } }];
  if (before?.state !== 'connected') return [];
  return [
    {
      type: 'session.lost',
      ...(now.lastError === null ? {} : { code: now.lastError.code, ...ngrokData(now.lastError.ngrokCode) }),
      cause: now.state,
    },
  ];
};

export const transitionEvents = (
  before: Pick<Told, 'session' | 'endpoints'> | null,
  now: Snapshot,
  awayMs: number,
): readonly EventDraft[] => [
  ...sessionEvents(before?.session, now.session, awayMs),
  ...now.endpoints.flatMap((e) =>
    endpointEvents(
      before?.endpoints.find((x) => x.name === e.name),
      e,
      now.session,
    ),
  ),
];

export const conditionEvents = (
  set: readonly Condition[],
  cleared: readonly Condition[],
): readonly EventDraft[] => [
  ...set.map(
    (c): EventDraft => ({
      type: 'condition.set',
      code: c.code,
      ...(c.endpoint === undefined ? {} : { ep: c.endpoint }),
      data: { severity: c.severity, msg: c.message },
    }),
  ),
  ...cleared.map(
    (c): EventDraft => ({
      type: 'condition.cleared',
      code: c.code,
      ...(c.endpoint === undefined ? {} : { ep: c.endpoint }),
    }),
  ),
];
