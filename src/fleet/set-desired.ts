/** Publishes a new desired document and waits until the device has it in force. */
import { type Clock, systemClock } from '../core/clock.ts';
import { type Fault, failed, fault, LockkeeperError, ok, type Result } from '../core/errors.ts';
import type { DesiredDocument } from '../protocol/desired-schema.ts';
import { signEnvelope } from '../protocol/envelope.ts';
import type { ReportedMessage } from '../protocol/reported-schema.ts';
import type { Signer } from '../protocol/signing-key.ts';
import { isRecord, readStrictJson } from '../protocol/strict-json.ts';
import { formatTopic } from '../protocol/topics.ts';
import { checkDesired, checkReported } from '../protocol/validate.ts';
import type { FleetLink } from './fleet-link.ts';
import { parseDesired, readDesired, readReported } from './read-device.ts';

export interface SetDesiredOptions {
  readonly device: string;
  /** The document; `v`, `dev`, `rev` and `iat` are filled in and may be left out. */
  readonly content: unknown;
  /** Null publishes it unsigned, which only a device in `trust.mode: broker` takes. */
  readonly signer: Signer | null;
  /** Highest revision this operator knows of. */
  readonly knownRev: number;
  readonly timeoutS: number;
  /** Called with the new revision before it is published; a fault stops everything. */
  readonly onRev?: (rev: number) => Promise<Result<unknown>>;
  readonly clock?: Clock;
}

/** `applied`: the device converged. `refused`: it says no, or another writer won. `silent`: nothing in time. */
export type SetDesiredOutcome =
  | { readonly kind: 'applied'; readonly rev: number; readonly reported: ReportedMessage }
  | { readonly kind: 'refused'; readonly rev: number; readonly fault: Fault }
  | { readonly kind: 'silent'; readonly rev: number; readonly isAccepted: boolean };

const complete = (content: unknown, device: string, rev: number, iat: number): Result<DesiredDocument> => {
  if (!isRecord(content)) return failed(fault('BAD_ARGS', 'The document must be a JSON object.', false));
  if (content['dev'] !== undefined && content['dev'] !== device)
    return failed(fault('BAD_ARGS', `The document is for another device than ${device}.`, false));
  const checked = checkDesired({ ...content, v: content['v'] ?? 1, dev: device, rev, iat });
  if (!checked.ok) return failed(fault('BAD_ARGS', `The document: ${checked.message}.`, false));
  const names = checked.value.endpoints.map((e) => e.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  return twice === undefined
    ? ok(checked.value)
    : failed(fault('BAD_ARGS', `The document names the endpoint ${twice} twice.`, false));
};

/** Endpoints of the document that the device will not open, each with its code. */
const hopeless = (
  document: DesiredDocument,
  reported: ReportedMessage,
  states: readonly string[],
): string[] =>
  reported.endpoints
    .filter((e) => states.includes(e.state) && document.endpoints.some((d) => d.name === e.name && d.on))
    .map((e) => `${e.name} is ${e.state}${e.code === undefined ? '' : ` (${e.code})`}`);

const judge = (document: DesiredDocument, reported: ReportedMessage): SetDesiredOutcome | null => {
  const { rev } = document;
  if (reported.bad?.rev === rev) {
    const { code } = reported.bad;
    return {
      kind: 'refused',
      rev,
      fault: fault(
        code === 'REV_CONFLICT' ? 'REV_CONFLICT' : 'NOT_ALLOWED',
        `The device refuses the document with revision ${rev}: ${code}.`,
        false,
      ),
    };
  }
  if (reported.rev < rev) return null;
  if (reported.rev > rev)
    return {
      kind: 'refused',
      rev,
      fault: fault('SUPERSEDED', `Revision ${reported.rev} came after ${rev}.`, false),
    };
  if ((reported.applied ?? -1) >= rev) return { kind: 'applied', rev, reported };
  const denied = hopeless(document, reported, ['denied']);
  return denied.length === 0
    ? null
    : {
        kind: 'refused',
        rev,
        fault: fault('UPSTREAM_DENIED', `Of revision ${rev}, ${denied.join(', ')}.`, false),
      };
};

/** A document of the same revision that another writer got in first. */
const conflict = (rev: number): SetDesiredOutcome => ({
  kind: 'refused',
  rev,
  fault: fault('REV_CONFLICT', `Another document has revision ${rev} already.`, false),
});

const publishAndWait = async (
  link: FleetLink,
  options: SetDesiredOptions,
  document: DesiredDocument,
  clock: Clock,
): Promise<SetDesiredOutcome> => {
  const { tenant } = link;
  const { device } = options;
  const { rev } = document;
  const topic = formatTopic({ kind: 'desired', tenant, device });
  const text =
    options.signer === null
      ? JSON.stringify(document)
      : await signEnvelope('lk1-desired', document, options.signer);

  let newest: ReportedMessage | null = null;
  let settle: (outcome: SetDesiredOutcome) => void = () => undefined;
  const outcome = new Promise<SetDesiredOutcome>((resolve) => {
    settle = resolve;
  });
  let isDecided = false;
  const stops: (() => void)[] = [];
  const cancel = clock.after(options.timeoutS * 1000, () => {
    const failedOnes = newest?.rev === rev ? hopeless(document, newest, ['failed']) : [];
    settle(
      failedOnes.length === 0
        ? { kind: 'silent', rev, isAccepted: newest?.rev === rev }
        : {
            kind: 'refused',
            rev,
            fault: fault('NGROK_CONFIG', `Of revision ${rev}, ${failedOnes.join(', ')}.`, true),
          },
    );
  });
  try {
    stops.push(
      await link.watch(topic, ({ payload }) => {
        const seen = parseDesired(payload);
        if (isDecided || !seen.ok || seen.value.document.rev !== rev) return;
        isDecided = true;
        // The device takes the first of two documents with one revision, in the order in which the broker has them.
        if (seen.value.text !== text) settle(conflict(rev));
      }),
    );
    let isPublished = false;
    stops.push(
      await link.watch(formatTopic({ kind: 'reported', tenant, device }), ({ payload }) => {
        const json = readStrictJson(payload);
        const checked = json.ok ? checkReported(json.value) : null;
        if (checked?.ok !== true || !isPublished) return;
        newest = checked.value;
        const verdict = judge(document, checked.value);
        if (verdict !== null) settle(verdict);
      }),
    );
    isPublished = true;
    await link.publish({ topic, payload: text, qos: 1, retain: true });
    return await outcome;
  } finally {
    cancel();
    for (const stop of stops) stop();
  }
};

/**
 * Completes the document with the next revision, publishes it retained, and waits for the device. Faults are bad input
 * and a broker that refuses; what the device says is an outcome.
 */
export const setDesired = async (
  link: FleetLink,
  options: SetDesiredOptions,
): Promise<Result<SetDesiredOutcome>> => {
  const clock = options.clock ?? systemClock;
  const iat = Math.floor(clock.wall() / 1000);
  const draft = complete(options.content, options.device, 0, iat);
  if (!draft.ok) return draft;
  try {
    const [stored, reported] = await Promise.all([
      readDesired(link, options.device),
      readReported(link, options.device),
    ]);
    // A stored document that cannot be read has no revision to go by; the device and this operator know theirs.
    const storedRev = stored.ok ? (stored.value?.document.rev ?? 0) : 0;
    const rev = Math.max(options.knownRev, reported?.rev ?? 0, storedRev) + 1;
    const document = complete(options.content, options.device, rev, iat);
    if (!document.ok) return document;
    const kept = await options.onRev?.(rev);
    if (kept !== undefined && !kept.ok) return kept;
    return ok(await publishAndWait(link, options, document.value, clock));
  } catch (error) {
    if (error instanceof LockkeeperError) return failed(error.fault);
    throw error;
  }
};
