/** The body of `reported`: the whole state of the device in the wire's words. Pure. */
import type { Condition } from '../core/condition.ts';
import type { JudgeTime } from '../protocol/judge-context.ts';
import { reportedMessage } from '../protocol/messages.ts';
import type { JournalEntry } from './ports.ts';
import type { Snapshot } from './snapshot.ts';

export interface Revisions {
  readonly rev: number;
  readonly applied: number;
  readonly bad: { readonly code: string; readonly rev?: number } | null;
}

export interface ReportedInputs {
  readonly snapshot: Snapshot;
  readonly conditions: readonly Condition[];
  readonly revisions: Revisions;
  readonly newest: readonly JournalEntry[];
  readonly time: JudgeTime;
  readonly boot: string;
  /** Monotonic milliseconds to epoch seconds, rounded down as `time` is. */
  wallS(at: number): number;
}

/** Ready to be published. */
export const reportedText = (inputs: ReportedInputs): string => {
  const { snapshot, conditions, time, boot, wallS } = inputs;
  const { rev, applied, bad } = inputs.revisions;
  const { session, cred } = snapshot;
  const sinceS = (at: number): number => Math.min(wallS(at), time.nowS);
  return JSON.stringify(
    reportedMessage({
      ts: time.nowS,
      boot,
      rev,
      applied,
      ...(bad === null ? {} : { bad }),
      clk: time.state,
      cred: {
        gen: cred.gen,
        ...(cred.want === null ? {} : { want: cred.want }),
        ...(cred.fingerprint === '' ? {} : { fp: cred.fingerprint }),
        state: cred.state,
      },
      session: {
        state: session.state === 'connected' ? 'up' : session.state,
        ...(session.since === null ? {} : { since: sinceS(session.since) }),
        ...(session.lastError === null ? {} : { err: session.lastError.code }),
      },
      endpoints: snapshot.endpoints.slice(0, 32).map((e) => ({
        name: e.name,
        state: e.state,
        ...(e.url === '' ? {} : { url: e.url }),
        ...(e.since === null ? {} : { since: sinceS(e.since) }),
        ...(e.lastError === null ? {} : { code: e.lastError.code }),
        by: e.by,
        ...(e.leaseEndsAt === null ? {} : { lease_end: wallS(e.leaseEndsAt) }),
      })),
      locked: snapshot.locked,
      conditions: conditions.map((c) => ({
        code: c.code,
        severity: c.severity,
        since: sinceS(c.since),
        msg: c.message,
        ...(c.endpoint === undefined ? {} : { ep: c.endpoint }),
      })),
      last: inputs.newest.map((e) => [e.id, e.status, ...(e.code === undefined ? [] : [e.code])]),
    }),
  );
};
