/** The intake decision for a desired document: take it, know it already, or keep what is there and say why. */
import type { FaultCode } from '../core/errors.ts';
import type { DesiredDocument } from './desired-schema.ts';
import { readEnvelope } from './envelope.ts';
import {
  BROKER_ISSUER,
  type DropCounter,
  type Dropped,
  dropped,
  isSetOver,
  type JudgeTime,
  type Origin,
  openOrigin,
  type RawMessage,
  type TrustPolicy,
} from './judge-context.ts';
import { isAllowed } from './keyset.ts';
import { sha256 } from './signing-key.ts';
import { decodeUtf8, MAX_PAYLOAD_BYTES, readStrictJson } from './strict-json.ts';
import { parseTopic } from './topics.ts';
import { checkDesired } from './validate.ts';

export interface DesiredContext {
  readonly tenant: string;
  readonly device: string;
  readonly policy: TrustPolicy;
  readonly time: JudgeTime;
  /** The document in force; `rev` may also be the floor alone, with an empty digest, when the document was lost. */
  readonly current: { readonly rev: number; readonly digest: string } | undefined;
}

/** The old document stays whole; `reported.bad` names the code, once for each digest. */
export interface BadDesired {
  readonly verdict: 'bad';
  readonly code: FaultCode;
  readonly msg: string;
  /** Present once the document could be read that far. */
  readonly rev?: number;
  readonly counter?: DropCounter;
  /** SHA-256 of the payload, base64url. */
  readonly digest: string;
}

export type DesiredVerdict =
  /** To be stored, then reconciled. `digest` is SHA-256 of the document's bytes, whoever signed them. */
  | {
      readonly verdict: 'accepted';
      readonly document: DesiredDocument;
      readonly issuer: string;
      readonly digest: string;
    }
  /** The document in force, read again. */
  | { readonly verdict: 'known'; readonly rev: number }
  /** An older revision: counted as `replay`, no state change. */
  | { readonly verdict: 'older'; readonly rev: number; readonly counter: 'replay' }
  /** An empty payload: no opinion. The document in force stays. */
  | { readonly verdict: 'cleared' }
  | BadDesired
  | Dropped;

const repeatedName = ({ endpoints }: DesiredDocument): string | undefined => {
  const seen = new Set<string>();
  return endpoints.find(({ name }) => seen.size === seen.add(name).size)?.name;
};

/** The bytes of the document that an envelope carries; undefined when it is no envelope. */
const carriedBytes = (text: string): Uint8Array | undefined => {
  const shape = readEnvelope(text, 'lk1-desired');
  return shape && Buffer.from(shape.text.split('.', 2)[1] ?? '', 'base64url');
};

const judgeContent = (origin: Origin, digest: string, context: DesiredContext): DesiredVerdict => {
  const { current, policy, time } = context;
  const bad = (code: FaultCode, msg: string, more: Partial<BadDesired> = {}): BadDesired => ({
    verdict: 'bad',
    code,
    msg,
    digest,
    ...more,
  });
  const json = readStrictJson(origin.content);
  if (!json.ok)
    return bad('BAD_ARGS', `the document is not usable JSON (${json.problem})`, { counter: 'bad_json' });
  const checked = checkDesired(json.value);
  if (!checked.ok) return bad('BAD_ARGS', checked.message);
  const document = checked.value;
  const { rev } = document;
  if (document.dev !== context.device) return dropped('replay', 'the document is for another device');
  if (origin.key !== undefined && !isAllowed(origin.key, 'desired')) {
    return bad('NOT_ALLOWED', `key ${origin.issuer} must not sign documents`, { rev });
  }
  if (isSetOver(policy, time)) return bad('NOT_ALLOWED', 'the key set has expired', { rev });
  const repeated = repeatedName(document);
  if (repeated !== undefined) return bad('BAD_ARGS', `endpoints must not name ${repeated} twice`, { rev });
  if (current !== undefined && rev < current.rev) return { verdict: 'older', rev, counter: 'replay' };
  if (current !== undefined && rev === current.rev && current.digest !== '') {
    return bad('REV_CONFLICT', `another document has revision ${rev} already`, { rev });
  }
  return { verdict: 'accepted', document, issuer: origin.issuer, digest };
};

/** Judges one message on the desired topic. Never rejects. */
export const judgeDesired = async (message: RawMessage, context: DesiredContext): Promise<DesiredVerdict> => {
  const topic = parseTopic(message.topic);
  const isMine =
    topic?.kind === 'desired' && topic.tenant === context.tenant && topic.device === context.device;
  if (!isMine) return dropped('topic', 'not the desired topic of this device');
  const { payload } = message;
  if (payload.byteLength === 0) return { verdict: 'cleared' };
  if (payload.byteLength > MAX_PAYLOAD_BYTES) return dropped('too_big', 'over 65,536 bytes');

  const { current, policy, time } = context;
  const text = policy.mode === 'signed' ? decodeUtf8(payload) : undefined;
  const carried = policy.mode === 'signed' ? text && carriedBytes(text) : payload;
  const digest = await sha256(carried || payload);
  // Read again on every connect, and by then its key may be past its end: what is in force already needs no proof.
  if (current !== undefined && digest === current.digest) return { verdict: 'known', rev: current.rev };

  if (policy.mode === 'broker') {
    return judgeContent({ issuer: BROKER_ISSUER, key: undefined, content: payload }, digest, context);
  }
  const origin = text === undefined ? undefined : await openOrigin(text, 'lk1-desired', policy.trust, time);
  if (origin !== undefined) return judgeContent(origin, digest, context);
  const msg = 'no good signature by a key in force';
  return { verdict: 'bad', code: 'NOT_ALLOWED', msg, counter: 'bad_sig', digest };
};
