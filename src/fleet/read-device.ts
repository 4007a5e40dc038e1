/** Reads what a device keeps published, and what is published for it. */
import { failed, fault, ok, type Result } from '../core/errors.ts';
import type { DesiredDocument } from '../protocol/desired-schema.ts';
import { readEnvelope } from '../protocol/envelope.ts';
import type { HelloMessage } from '../protocol/presence-schema.ts';
import type { ReportedMessage } from '../protocol/reported-schema.ts';
import { decodeUtf8, readStrictJson } from '../protocol/strict-json.ts';
import { formatTopic } from '../protocol/topics.ts';
import { type Checked, checkDesired, checkHello, checkReported } from '../protocol/validate.ts';
import type { FleetLink } from './fleet-link.ts';

const readStored = async <T>(
  link: FleetLink,
  device: string,
  kind: 'hello' | 'reported',
  check: (value: unknown) => Checked<T>,
): Promise<T | null> => {
  const message = await link.retained(formatTopic({ kind, tenant: link.tenant, device }));
  const json = message === null ? null : readStrictJson(message.payload);
  const checked = json?.ok === true ? check(json.value) : null;
  return checked?.ok === true ? checked.value : null;
};

/** The device's retained `hello`; null when there is none, or none that can be read. */
export const readHello = (link: FleetLink, device: string): Promise<HelloMessage | null> =>
  readStored(link, device, 'hello', checkHello);

/** The device's retained `reported`; null when there is none, or none that can be read. */
export const readReported = (link: FleetLink, device: string): Promise<ReportedMessage | null> =>
  readStored(link, device, 'reported', checkReported);

/** A desired document as it lies at the broker. `kid` names who says to have signed it; null for a plain one. */
export interface StoredDesired {
  readonly document: DesiredDocument;
  readonly kid: string | null;
  /** Exactly as published. */
  readonly text: string;
}

/** Takes a payload of the desired topic apart. The signature is not verified: that is the device's part. */
export const parseDesired = (payload: Uint8Array): Result<StoredDesired> => {
  const bad = (why: string) => failed(fault('BAD_ARGS', `The stored document ${why}.`, false));
  const text = decodeUtf8(payload);
  if (text === undefined) return bad('is not UTF-8');
  const shape = readEnvelope(text, 'lk1-desired');
  const body = shape === undefined ? payload : Buffer.from(shape.text.split('.', 2)[1] ?? '', 'base64url');
  const json = readStrictJson(body);
  if (!json.ok) return bad(`is not usable JSON (${json.problem})`);
  const checked = checkDesired(json.value);
  return checked.ok
    ? ok({ document: checked.value, kid: shape?.kid ?? null, text })
    : bad(`has a mistake: ${checked.message}`);
};

/** The retained desired document; a null value when there is none, a fault when it cannot be read. */
export const readDesired = async (link: FleetLink, device: string): Promise<Result<StoredDesired | null>> => {
  const message = await link.retained(formatTopic({ kind: 'desired', tenant: link.tenant, device }));
  if (message === null || message.payload.length === 0) return ok(null);
  return parseDesired(message.payload);
};
