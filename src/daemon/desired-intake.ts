/** The desired document's way in: judged, stored, applied; and how far the device has come with it. */
import type { Clock } from '../core/clock.ts';
import type { DropCounter } from '../protocol/judge-context.ts';
import { type DesiredContext, judgeDesired } from '../protocol/judge-desired.ts';
import type { Intent } from './intent.ts';
import type { Log } from './log.ts';
import type { InboundMessage, Store } from './ports.ts';
import type { RevFloor } from './records.ts';
import type { Snapshot } from './snapshot.ts';

export interface DesiredIntakeOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly intent: Intent;
  readonly revFloor: Store<RevFloor>;
  context(): Omit<DesiredContext, 'current'>;
  count(counter: DropCounter): void;
  snapshot(): Snapshot;
  heldGeneration(): number;
  /** Both copies of the stored document were damaged at start. */
  readonly wasLost: boolean;
  accepted(): void;
  /** The document asks for a generation that this device does not hold. */
  credentialWanted(): void;
  /** Two writers gave the same revision to different documents. */
  conflict(rev: number): void;
}

export interface Revisions {
  readonly rev: number;
  readonly applied: number;
  readonly bad: { readonly code: string; readonly rev?: number } | null;
}

export interface DesiredIntake {
  message(message: InboundMessage): Promise<void>;
  revisions(): Revisions;
  /** State changed: is the document applied now? */
  look(): void;
}

export const createDesiredIntake = (options: DesiredIntakeOptions): DesiredIntake => {
  const { log, clock, intent, revFloor } = options;
  let applied = 0;
  let bad: Revisions['bad'] = options.wasLost ? { code: 'STATE_LOST' } : null;
  let lastBadDigest = '';

  const current = (): DesiredContext['current'] => {
    const record = intent.document();
    if (record !== null) return { rev: record.document.rev, digest: record.digest };
    return revFloor.get().rev > 0 ? { rev: revFloor.get().rev, digest: '' } : undefined;
  };

  const isConverged = (): boolean => {
    const document = intent.document()?.document;
    if (document === undefined) return false;
    if (document.cred !== undefined && document.cred.gen > options.heldGeneration()) return false;
    const { endpoints } = options.snapshot();
    const { wanted } = intent.read();
    return endpoints.every((e) => (wanted.get(e.name)?.up === true ? e.state === 'up' : e.state === 'down'));
  };

  const look = (): void => {
    const document = intent.document()?.document;
    if (document === undefined || applied === document.rev) return;
    if (isConverged()) {
      applied = document.rev;
      log.info({ rev: applied }, 'desired document applied');
    }
  };

  const setBad = (code: string, digest: string, rev?: number): void => {
    if (digest === lastBadDigest && bad?.code === code) return;
    lastBadDigest = digest;
    bad = rev === undefined ? { code } : { code, rev };
    log.warn({ code, rev }, 'desired document refused');
    if (code === 'REV_CONFLICT') options.conflict(rev ?? 0);
    options.accepted();
  };

  const message = async (inbound: InboundMessage): Promise<void> => {
    try {
      const before = current();
      const verdict = await judgeDesired(inbound, {
        ...options.context(),
        current: before,
      });
      switch (verdict.verdict) {
        case 'dropped':
          return options.count(verdict.counter);
        case 'known':
          return;
        case 'older':
          return options.count(verdict.counter);
        case 'cleared':
          return setBad('DESIRED_CLEARED', '');
        case 'bad':
          if (verdict.counter !== undefined) options.count(verdict.counter);
          return setBad(verdict.code, verdict.digest, verdict.rev);
        case 'accepted': {
          const { document, digest } = verdict;
          const saved = await intent.accept({ document, digest, acceptedAtMs: clock.wall() });
          if (!saved.ok) return setBad(saved.fault.code, digest, document.rev);
          await revFloor.save({ rev: document.rev });
          if (intent.isParked()) await intent.park(false);
          bad = null;
          lastBadDigest = '';
          log.info({ rev: document.rev, endpoints: document.endpoints.length }, 'desired document accepted');
          options.accepted();
          if ((document.cred?.gen ?? 0) > options.heldGeneration()) options.credentialWanted();
          return;
        }
      }
    } catch (error) {
      log.error({ err: error }, 'desired document could not be judged');
    }
  };

  return {
    message,
    look,
    revisions: () => ({ rev: intent.document()?.document.rev ?? revFloor.get().rev, applied, bad }),
  };
};
