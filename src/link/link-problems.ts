import { type Fault, fault } from '../core/errors.ts';
import type { Credentials } from './credentials.ts';
import type { HuntState } from './filter-hunt.ts';
import { type Failure, type FailureKind, reasonText } from './link-errors.ts';

const DAY_MS = 86_400_000;
/** The client certificate is spoken of from so many days before its end. */
const EXPIRY_WARNING_DAYS = 14;

/** A link may be away for so long before that is a problem: a broker restarts, a cell changes. */
export const AWAY_GRACE_MS = 10_000;

/** Failures that a person has to do something about, told at once; the others once they last. */
const STANDING: ReadonlySet<FailureKind> = new Set<FailureKind>([
  'auth',
  'tls',
  'certificate',
  'clock',
  'files',
  'flood',
]);

export interface ProblemFacts {
  readonly hunt: HuntState;
  readonly denied: readonly Fault[];
  /** Newest contents of the credential files; null before they were read. */
  readonly credentials: Credentials | null;
  readonly isDuplicate: boolean;
  /** Why there is no link; null while there is one. */
  readonly failure: Failure | null;
  /** How long there has been no link; null while there is one. */
  readonly awayMs: number | null;
  readonly wallMs: number;
}

/** Whole days until the client certificate ends, negative afterwards; null without one. */
export const certificateDaysLeft = (credentials: Credentials | null, wallMs: number): number | null => {
  const validity = credentials?.validity ?? null;
  return validity === null ? null : Math.floor((validity.notAfterMs - wallMs) / DAY_MS);
};

const expiry = (credentials: Credentials | null, wallMs: number): readonly Fault[] => {
  const days = certificateDaysLeft(credentials, wallMs);
  const validity = credentials?.validity ?? null;
  if (days === null || validity === null || days >= EXPIRY_WARNING_DAYS) return [];
  const end = new Date(validity.notAfterMs).toISOString().slice(0, 10);
  const message =
    days < 0 ? `The client certificate ended on ${end}.` : `The client certificate ends on ${end}.`;
  return [fault('CLIENT_CERT_EXPIRING', message, false)];
};

const away = ({ failure, awayMs }: ProblemFacts): readonly Fault[] => {
  if (failure !== null && STANDING.has(failure.kind)) return [failure.fault];
  if (awayMs === null || awayMs < AWAY_GRACE_MS) return [];
  return [failure?.fault ?? fault('BROKER_NET', 'There is no connection to the broker yet.', true)];
};

/** Everything that is wrong with the link at this moment, each with a sentence of its own. */
export const linkProblems = (facts: ProblemFacts): readonly Fault[] => {
  const { hunt, denied, credentials, isDuplicate, wallMs } = facts;
  return [
    ...away(facts),
    ...Object.entries(hunt.refused).map(([filter, code]) =>
      fault(
        'BROKER_FILTER_REFUSED',
        `The broker refuses the subscription to ${filter}: ${reasonText(code)}.`,
        true,
      ),
    ),
    ...Object.keys(hunt.closers).map((filter) =>
      fault(
        'BROKER_FILTER_REFUSED',
        `The broker ends the connection on a subscription to ${filter}; it is left out for now.`,
        true,
      ),
    ),
    ...denied,
    ...(isDuplicate
      ? [fault('DUPLICATE_CLIENT', 'Another client seems to use the id of this device at the broker.', true)]
      : []),
    ...(credentials?.warning ? [credentials.warning] : []),
    ...expiry(credentials, wallMs),
  ];
};
