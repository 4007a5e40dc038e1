/**
 * The intake decision for a command, as a function of message and context. The order of the steps is part of the
 * contract: cheapest first, nothing answered before the signature is good, the journal before time and sequence.
 */
import type { FaultCode } from '../core/errors.ts';
import { type Command, GROUP_OPS, isOp, maxLifeS } from './command-schema.ts';
import {
  BROKER_ISSUER,
  type Dropped,
  dropped,
  isClockSure,
  isSetOver,
  type JudgeTime,
  type Origin,
  openOrigin,
  type RawMessage,
  SKEW_S,
  type TrustPolicy,
} from './judge-context.ts';
import { isAllowed } from './keyset.ts';
import { isUlid } from './names.ts';
import type { ResultStatus } from './result-schema.ts';
import { acceptSeq, type SeqWindow, type SeqWindows, seqKey } from './seq-window.ts';
import { sha256 } from './signing-key.ts';
import { decodeUtf8, isRecord, MAX_PAYLOAD_BYTES, readStrictJson } from './strict-json.ts';
import { type Audience, formatAudience, parseTopic } from './topics.ts';
import { checkCommand } from './validate.ts';

/** What the journal remembers of an id: enough to repeat its answer. */
export interface RecordedAnswer {
  readonly id: string;
  readonly op: string;
  readonly status: ResultStatus;
  readonly n: number;
  readonly code?: string;
  readonly msg?: string;
  readonly out?: Readonly<Record<string, unknown>>;
}

/** Judge one message at a time: the windows and the journal must hold what the verdict before brought. */
export interface CommandContext {
  readonly tenant: string;
  readonly device: string;
  readonly policy: TrustPolicy;
  readonly time: JudgeTime;
  /** Nonce of this start, as presence publishes it. */
  readonly boot: string;
  /** Groups of the desired document in force. */
  readonly groups: readonly string[];
  readonly windows: SeqWindows;
  lookup(id: string): RecordedAnswer | undefined;
}

/** To be journalled and run. `windowKey` and `nextWindow` are to be stored with it. */
export interface AcceptedCommand {
  readonly verdict: 'accepted';
  readonly command: Command;
  /** The signer's kid, or `broker`. */
  readonly issuer: string;
  readonly audience: Audience;
  readonly windowKey: string;
  readonly nextWindow: SeqWindow;
  /** SHA-256 of the body, base64url: names a poison message. */
  readonly digest: string;
}

/** To be answered with a terminal status. `counter` is to be raised as well where there is one. */
export interface RefusedCommand {
  readonly verdict: 'refused';
  readonly status: 'rejected' | 'expired';
  readonly id: string;
  readonly op: string;
  readonly code: FaultCode;
  readonly msg: string;
  /** Present exactly where sending again helps. */
  readonly retryS?: number;
  readonly counter?: 'bad_json' | 'replay';
  readonly issuer: string;
  /** The body's `exp`, 0 when it has none: how long the journal must keep the id. */
  readonly expS: number;
}

export type CommandVerdict =
  | AcceptedCommand
  | { readonly verdict: 'replay'; readonly answer: RecordedAnswer; readonly issuer: string }
  | RefusedCommand
  | Dropped;

/** A command that may be read: right topic, not stored by the broker, not too long. */
export interface ScreenedCommand {
  readonly verdict: 'read';
  readonly audience: Audience;
  readonly op: string;
}

/** The steps that cost nothing, before any budget is spent: topic shape, retain flag, byte length. */
export const screenCommand = (
  message: RawMessage,
  { tenant, device, groups }: Pick<CommandContext, 'tenant' | 'device' | 'groups'>,
): ScreenedCommand | Dropped => {
  const topic = parseTopic(message.topic);
  if (topic?.kind !== 'command' || topic.tenant !== tenant) return dropped('topic', 'not a command topic');
  const { audience, op } = topic;
  const isMine = audience.kind === 'device' ? audience.device === device : groups.includes(audience.group);
  if (!isMine) return dropped('topic', 'not addressed to this device');
  if (message.retain) return dropped('retained', 'commands are never retained');
  if (message.payload.byteLength > MAX_PAYLOAD_BYTES) return dropped('too_big', 'over 65,536 bytes');
  return { verdict: 'read', audience, op };
};

interface Draft {
  readonly id: string;
  readonly op: string;
  readonly issuer: string;
  readonly expS: number;
}

type RefusalExtras = Partial<Pick<RefusedCommand, 'status' | 'retryS' | 'counter'>>;

const refused = (draft: Draft, code: FaultCode, msg: string, more: RefusalExtras = {}): RefusedCommand => ({
  verdict: 'refused',
  status: 'rejected',
  ...draft,
  code,
  msg,
  ...more,
});

/**
 * Who a refusal can be sent to: the body's id, if the body does not itself name another audience. Such a message was
 * taken from elsewhere, and a copy is not answered.
 */
const draftOf = (body: unknown, screened: ScreenedCommand, issuer: string): Draft | Dropped => {
  if (!isRecord(body) || typeof body['id'] !== 'string' || !isUlid(body['id'])) {
    return dropped('bad_json', 'no command id to answer to');
  }
  if (typeof body['to'] === 'string' && body['to'] !== formatAudience(screened.audience)) {
    return dropped('replay', 'the body names another audience than the topic');
  }
  const exp = body['exp'];
  return {
    id: body['id'],
    op: screened.op,
    issuer,
    expS: typeof exp === 'number' && Number.isSafeInteger(exp) ? exp : 0,
  };
};

/** Reads a body that the strict reader refused, for its id alone. */
const readLoosely = (content: Uint8Array): unknown => {
  try {
    return JSON.parse(Buffer.from(content).toString('utf8'));
  } catch {
    return undefined;
  }
};

const judgeTime = (
  command: Command,
  draft: Draft,
  { time, boot }: CommandContext,
): RefusedCommand | undefined => {
  const isOver = { status: 'expired' as const };
  if (command.exp < command.iat) return refused(draft, 'EXPIRED', 'exp is before iat', isOver);
  if (!isClockSure(time)) {
    return command.boot === boot
      ? undefined
      : refused(draft, 'CLOCK_UNSURE', `clock is unsure, send again with boot ${boot}`, {
          ...isOver,
          retryS: 1,
        });
  }
  if (time.nowS > command.exp + SKEW_S) {
    return refused(draft, 'EXPIRED', `exp passed ${time.nowS - command.exp} s ago`, isOver);
  }
  const aheadS = command.iat - SKEW_S - time.nowS;
  return aheadS > 0
    ? refused(draft, 'NOT_YET_VALID', `iat is ${aheadS + SKEW_S} s in the future`, { retryS: aheadS })
    : undefined;
};

const judgeAuthority = (
  command: Command,
  draft: Draft,
  origin: Origin,
  audience: Audience,
  context: CommandContext,
): RefusedCommand | undefined => {
  const group = audience.kind === 'group' ? audience.group : undefined;
  if (group !== undefined && !GROUP_OPS.includes(command.op)) {
    return refused(draft, 'NOT_ALLOWED', `${command.op} must not be sent to a group`);
  }
  if (origin.key === undefined) return undefined;
  if (!isAllowed(origin.key, command.op, group)) {
    return refused(draft, 'NOT_ALLOWED', `key ${origin.issuer} must not sign ${command.op} here`);
  }
  return command.op !== 'keys' && isSetOver(context.policy, context.time)
    ? refused(draft, 'NOT_ALLOWED', 'the key set has expired, send a new one first')
    : undefined;
};

/** From the body on: what is known to come from `origin`. */
const judgeContent = async (
  origin: Origin,
  screened: ScreenedCommand,
  context: CommandContext,
): Promise<CommandVerdict> => {
  const { issuer, content } = origin;
  const json = readStrictJson(content);
  if (!json.ok && context.policy.mode === 'broker') return dropped('bad_json', json.problem);
  const draft = draftOf(json.ok ? json.value : readLoosely(content), screened, issuer);
  if ('verdict' in draft) return draft;
  // One terminal status per id: whatever would be refused below, a known id has its answer already.
  const answer = context.lookup(draft.id);
  const refuse = (code: FaultCode, msg: string, more: RefusalExtras = {}): CommandVerdict =>
    answer === undefined ? refused(draft, code, msg, more) : { verdict: 'replay', answer, issuer };

  if (!json.ok)
    return refuse('BAD_ARGS', `the body is not usable JSON (${json.problem})`, { counter: 'bad_json' });
  const op = isRecord(json.value) ? json.value['op'] : undefined;
  if (typeof op === 'string' && !isOp(op))
    return refuse('UNKNOWN_OP', 'this version does not know the operation');
  const checked = checkCommand(json.value);
  if (!checked.ok) return refuse('BAD_ARGS', checked.message);
  const command = checked.value;
  if (command.exp - command.iat > maxLifeS(command.op)) {
    return refuse('BAD_ARGS', `exp - iat must be <= ${maxLifeS(command.op)}`);
  }
  if (command.op !== screened.op) return dropped('replay', 'the body names another operation than the topic');
  if (answer !== undefined) return { verdict: 'replay', answer, issuer };

  const refusal =
    judgeAuthority(command, draft, origin, screened.audience, context) ?? judgeTime(command, draft, context);
  if (refusal !== undefined) return refusal;
  const windowKey = seqKey(issuer, command.to);
  const nextWindow = acceptSeq(context.windows[windowKey], command.seq);
  if (nextWindow === undefined) {
    return refused(draft, 'REPLAY', `seq ${command.seq} was used or is too old`, { counter: 'replay' });
  }
  const digest = await sha256(content);
  return { verdict: 'accepted', command, issuer, audience: screened.audience, windowKey, nextWindow, digest };
};

/** Judges one command message. Never rejects. */
export const judgeCommand = async (message: RawMessage, context: CommandContext): Promise<CommandVerdict> => {
  const screened = screenCommand(message, context);
  if (screened.verdict === 'dropped') return screened;
  const { policy } = context;
  if (policy.mode === 'broker') {
    const origin = { issuer: BROKER_ISSUER, key: undefined, content: message.payload };
    return judgeContent(origin, screened, context);
  }
  const text = decodeUtf8(message.payload);
  const origin =
    text === undefined ? undefined : await openOrigin(text, 'lk1-cmd', policy.trust, context.time);
  return origin === undefined
    ? dropped('bad_sig', 'no good signature by a key in force')
    : judgeContent(origin, screened, context);
};
