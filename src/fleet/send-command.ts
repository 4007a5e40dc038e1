/** One command to one device, followed to its end. */
import { type Clock, systemClock } from '../core/clock.ts';
import { failed, fault, LockkeeperError, ok, type Result } from '../core/errors.ts';
import { type Command, maxLifeS, type Op } from '../protocol/command-schema.ts';
import { signEnvelope } from '../protocol/envelope.ts';
import { newCommandId } from '../protocol/ids.ts';
import { isTerminal, type ResultMessage } from '../protocol/result-schema.ts';
import type { Signer } from '../protocol/signing-key.ts';
import { readStrictJson } from '../protocol/strict-json.ts';
import { formatTopic } from '../protocol/topics.ts';
import { checkCommand, checkPresence, checkResult } from '../protocol/validate.ts';
import type { FleetLink } from './fleet-link.ts';

/** A command to be sent. The operation's arguments are those of the MQTT contract. */
export interface SendOptions {
  readonly device: string;
  readonly op: Op;
  readonly args?: Readonly<Record<string, unknown>>;
  /** Null sends it unsigned, which only a device in `trust.mode: broker` takes. */
  readonly signer: Signer | null;
  /** Gives a sequence number that was never used for this device and signer. */
  readonly nextSeq: () => Promise<Result<number>>;
  /** How long to wait for the terminal status; also how long the command stays valid. */
  readonly timeoutS: number;
  /** Called for every status, also the last. */
  readonly onStatus?: (result: ResultMessage) => void;
  readonly clock?: Clock;
}

/** `done`: a terminal status came. `silent`: none came in time; `last` is the newest status, if any. */
export type SendOutcome =
  | { readonly kind: 'done'; readonly result: ResultMessage }
  | { readonly kind: 'silent'; readonly id: string; readonly last: ResultMessage | null };

const MIN_LIFE_S = 30;

const readResult = (payload: Uint8Array, id: string): ResultMessage | null => {
  const json = readStrictJson(payload);
  const result = json.ok ? checkResult(json.value) : null;
  return result?.ok === true && result.value.id === id ? result.value : null;
};

/** The boot nonce from the device's stored presence: proves to a device without a clock that a command is fresh. */
const bootOf = async (link: FleetLink, device: string): Promise<string | null> => {
  const topic = formatTopic({ kind: 'presence', tenant: link.tenant, device });
  const message = await link.retained(topic);
  const json = message === null ? null : readStrictJson(message.payload);
  const presence = json?.ok === true ? checkPresence(json.value) : null;
  return presence?.ok === true ? presence.value.boot : null;
};

const build = async (options: SendOptions, clock: Clock, boot: string | null): Promise<Result<Command>> => {
  const seq = await options.nextSeq();
  if (!seq.ok) return seq;
  const iat = Math.floor(clock.wall() / 1000);
  const life = Math.min(maxLifeS(options.op), Math.max(MIN_LIFE_S, Math.ceil(options.timeoutS)));
  const checked = checkCommand({
    v: 1,
    id: newCommandId(clock),
    to: `d:${options.device}`,
    op: options.op,
    iat,
    exp: iat + life,
    seq: seq.value,
    ...(boot === null ? {} : { boot }),
    ...(options.args === undefined ? {} : { args: options.args }),
  });
  return checked.ok
    ? ok(checked.value)
    : failed(fault('BAD_ARGS', `The command: ${checked.message}.`, false));
};

const sendOnce = async (
  link: FleetLink,
  options: SendOptions,
  clock: Clock,
  untilMs: number,
  boot: string | null,
): Promise<Result<SendOutcome>> => {
  const built = await build(options, clock, boot);
  if (!built.ok) return built;
  const command = built.value;
  const { id, op, exp, iat } = command;
  const { tenant } = link;
  const { device } = options;

  let last: ResultMessage | null = null;
  let settle: (outcome: SendOutcome) => void = () => undefined;
  const outcome = new Promise<SendOutcome>((resolve) => {
    settle = resolve;
  });
  const stop = await link.watch(formatTopic({ kind: 'result', tenant, device, id }), ({ payload }) => {
    const result = readResult(payload, id);
    if (result === null || (last !== null && result.n <= last.n)) return;
    last = result;
    options.onStatus?.(result);
    if (isTerminal(result.status)) settle({ kind: 'done', result });
  });
  const cancel = clock.after(Math.max(0, untilMs - clock.now()), () => settle({ kind: 'silent', id, last }));
  try {
    const payload =
      options.signer === null
        ? JSON.stringify(command)
        : await signEnvelope('lk1-cmd', command, options.signer);
    await link.publish({
      topic: formatTopic({ kind: 'command', tenant, audience: { kind: 'device', device }, op }),
      payload,
      qos: 1,
      expiryS: exp - iat,
      correlation: id,
    });
    return ok(await outcome);
  } finally {
    cancel();
    stop();
  }
};

/**
 * Signs, publishes and follows one command. A device that is not sure of its clock is asked once more, with the boot
 * nonce from its presence. A fault means that nothing was sent, or that the broker did not take it.
 */
export const sendCommand = async (link: FleetLink, options: SendOptions): Promise<Result<SendOutcome>> => {
  const clock = options.clock ?? systemClock;
  const untilMs = clock.now() + options.timeoutS * 1000;
  try {
    const first = await sendOnce(link, options, clock, untilMs, null);
    if (!first.ok || first.value.kind !== 'done' || first.value.result.code !== 'CLOCK_UNSURE') return first;
    const boot = (await bootOf(link, options.device)) ?? first.value.result.boot;
    return await sendOnce(link, options, clock, untilMs, boot);
  } catch (error) {
    if (error instanceof LockkeeperError) return failed(error.fault);
    throw error;
  }
};
