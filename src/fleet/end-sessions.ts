/** Which agent sessions use a credential, and their end. One census for all devices of a rotation. */
import { type Clock, sleep } from '../core/clock.ts';
import { type ApiResult, equals, type NgrokApi, type TunnelSession } from './api/index.ts';
import { type AuditLog, auditFault } from './audit-log.ts';

export interface SessionCensus {
  /** The sessions of these credentials that are online now. Questions of the same moment share requests. */
  of(credentialIds: readonly string[]): Promise<ApiResult<readonly TunnelSession[]>>;
}

type Answer = ApiResult<readonly TunnelSession[]>;

const PAGE = 100;
/** Before anything is known of the number of sessions. */
const FIRST_GUESS_PAGES = 3;

/** Asks for each credential alone, or lists all sessions when that takes fewer requests. */
export const createSessionCensus = (api: Pick<NgrokApi, 'tunnelSessions'>): SessionCensus => {
  const waiting: { readonly ids: readonly string[]; readonly tell: (answer: Answer) => void }[] = [];
  let isRunning = false;
  let pages = FIRST_GUESS_PAGES;

  const ask = async (ids: readonly string[]): Promise<Answer> => {
    if (ids.length <= pages) {
      const answers = await Promise.all(
        ids.map((id) => api.tunnelSessions.list({ filter: equals('credential.id', id) })),
      );
      const sessions: TunnelSession[] = [];
      for (const answer of answers) {
        if (!answer.ok) return answer;
        sessions.push(...answer.value);
      }
      return { ok: true, value: sessions };
    }
    const all = await api.tunnelSessions.list();
    if (all.ok) pages = Math.max(1, Math.ceil((all.value.length + 1) / PAGE));
    return all;
  };

  const run = async (): Promise<void> => {
    isRunning = true;
    // Everybody who asks in the same turn is in the first round.
    await Promise.resolve();
    while (waiting.length > 0) {
      const round = waiting.splice(0);
      const answer = await ask([...new Set(round.flatMap(({ ids }) => ids))]);
      for (const { ids, tell } of round)
        tell(
          answer.ok
            ? { ok: true, value: answer.value.filter(({ credential }) => ids.includes(credential.id)) }
            : answer,
        );
    }
    isRunning = false;
  };

  return {
    of: (ids) =>
      ids.length === 0
        ? Promise.resolve({ ok: true, value: [] })
        : new Promise((resolve, reject) => {
            waiting.push({ ids, tell: resolve });
            if (!isRunning) run().catch(reject);
          }),
  };
};

export interface EndSessionsOptions {
  readonly census: SessionCensus;
  readonly api: Pick<NgrokApi, 'tunnelSessions'>;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly credentialIds: readonly string[];
  readonly device: string;
  /** Sessions get this long to end by themselves before they are told to stop. */
  readonly graceMs: number;
  /** After it what is left is reported. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/** What became of the sessions. `stops` says, per session that was told to stop, what its agent answered. */
export interface EndedSessions {
  readonly seen: number;
  readonly remaining: readonly TunnelSession[];
  readonly stops: Readonly<Record<string, string>>;
}

const FIRST_POLL_MS = 500;
const MAX_POLL_MS = 5000;

/** Looks until no session of the credentials is left, tells those that stay to stop, reports honestly what remains. */
export const endSessions = async (options: EndSessionsOptions): Promise<ApiResult<EndedSessions>> => {
  const { census, api, audit, clock, device, credentialIds, signal } = options;
  const startMs = clock.now();
  const seen = new Set<string>();
  const stops: Record<string, string> = {};
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(MAX_POLL_MS, pollMs * 2)) {
    const answer = await census.of(credentialIds);
    if (!answer.ok) return answer;
    for (const { id } of answer.value) seen.add(id);
    const isOver = clock.now() - startMs >= options.deadlineMs;
    if (answer.value.length === 0 || isOver)
      return { ok: true, value: { seen: seen.size, remaining: answer.value, stops } };
    if (clock.now() - startMs >= options.graceMs) {
      for (const { id } of answer.value) {
        if (Object.hasOwn(stops, id)) continue;
        // A lost link (810) may have done it: the next look tells.
        const told = await api.tunnelSessions.stop(id);
        const isGone = !told.ok && told.fault.code === 'API_NOT_FOUND';
        stops[id] = told.ok || isGone ? 'told' : told.fault.message;
        await audit.write({
          what: told.ok || isGone ? 'session.stop' : 'session.stop.failed',
          id,
          device,
          ...(told.ok ? {} : auditFault(told.fault)),
        });
      }
    }
    const leftMs = startMs + options.deadlineMs - clock.now();
    await sleep(clock, Math.max(0, Math.min(pollMs, leftMs)), signal);
  }
};
