/** The operations of the control door: arguments, and what each does. A refusal is a sentence. */
import { badRule } from '../api/acl.ts';
import { noFaults } from '../api/faults.ts';
import { ACL_EFFECTS, WHENS } from '../api/switches.ts';
import { isPrintable } from '../api/tokens.ts';
import {
  type Args,
  type ArgTable,
  count,
  countOrNull,
  flag,
  oneOf,
  optional,
  readArgs,
  text,
  texts,
} from './args.ts';
import type { ControlParts } from './parts.ts';

type Outcome = string | undefined;
type Work<S extends ArgTable> = (args: Args<S>, parts: ControlParts) => Outcome | Promise<Outcome>;
type Operation = (
  given: Readonly<Record<string, unknown>>,
  parts: ControlParts,
) => Outcome | Promise<Outcome>;

const operation =
  <S extends ArgTable>(table: S, work: Work<S>): Operation =>
  (given, parts) => {
    const args = readArgs(table, given);
    return typeof args === 'string' ? args : work(args, parts);
  };

const token = text('a text of printable characters', isPrintable);
const name = text('a text that is not empty', (value) => value !== '');
const on = { on: flag };

/** Lays the given values over an object that is changed in place; absent ones stay. */
const lay = <T extends object>(target: T, given: { readonly [K in keyof T]?: T[K] | undefined }): void => {
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined) Object.assign(target, { [key]: value });
  }
};

const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  [
    'drop',
    operation({ how: oneOf(['fin', 'rst', 'go-away']) }, ({ how }, { edge }) => {
      edge.faults.drop(how);
      return undefined;
    }),
  ],
  [
    'refuse',
    operation(on, async (args, { edge }) => {
      await edge.faults.refuse(args.on);
      return undefined;
    }),
  ],
  [
    'silence',
    operation(on, (args, { edge }) => {
      edge.faults.silence(args.on);
      return undefined;
    }),
  ],
  [
    'delay',
    operation({ ms: count }, ({ ms }, { edge }) => {
      edge.faults.delay(ms);
      return undefined;
    }),
  ],
  [
    'revoke',
    // At once unless told otherwise, whatever the switch says about deletions through the API.
    operation({ authtoken: token, when: optional(oneOf(WHENS)) }, ({ authtoken, when }, { accounts }) =>
      accounts.revokeToken(authtoken, when ?? 'at-once') === 'unknown'
        ? '"authtoken" is not a token that was ever registered'
        : undefined,
    ),
  ],
  [
    'token',
    operation(
      {
        authtoken: token,
        account: optional(name),
        acl: optional(texts('a list of ACL rules', (rule) => badRule([rule]) === null)),
        maxSessions: optional(countOrNull),
        name: optional(name),
      },
      (args, { accounts }) => {
        const { authtoken, account, acl, maxSessions } = args;
        accounts.setToken(authtoken, {
          ...(args.name === undefined ? {} : { name: args.name }),
          ...(account === undefined ? {} : { account }),
          ...(acl === undefined ? {} : { acl }),
          ...(maxSessions === undefined ? {} : { maxSessions }),
        });
        return undefined;
      },
    ),
  ],
  [
    'broker',
    operation(on, async (args, { broker }) => {
      await broker.setOn(args.on);
      return undefined;
    }),
  ],
  [
    'broker-cut',
    operation({ clientId: name }, ({ clientId }, { broker }) =>
      broker.cut(clientId) ? undefined : 'no client of this id is connected',
    ),
  ],
  [
    'cut',
    operation({ sessionId: name, how: optional(oneOf(['fin', 'rst'])) }, ({ sessionId, how }, { edge }) => {
      if (!edge.sessions.has(sessionId)) return 'there is no session of this id';
      edge.cut(sessionId, how ?? 'fin');
      return undefined;
    }),
  ],
  [
    'stop-endpoint',
    operation(
      {
        endpointId: name,
        message: optional(name),
        code: optional(text('a code like "ERR_NGROK_802"', (value) => /^ERR_NGROK_\d+$/.test(value))),
      },
      ({ endpointId, message, code }, { edge }) => {
        const isKnown = [...edge.sessions.values()].some((session) => session.endpoints.has(endpointId));
        if (!isKnown) return 'there is no endpoint of this id';
        edge.stopEndpoint(endpointId, message ?? 'The endpoint was stopped.', code ?? null);
        return undefined;
      },
    ),
  ],
  [
    'api',
    operation(
      {
        reset: optional(flag),
        dropEvery: optional(count),
        dropNext: optional(count),
        tooMany: optional(count),
        tooManyAtOnce: optional(count),
        failing: optional(count),
        halfClosed: optional(count),
        delayMs: optional(count),
        limit: optional(count),
        windowMs: optional(count),
      },
      ({ reset, limit, windowMs, ...faults }, { api }) => {
        if (reset === true) lay(api.faults, noFaults());
        lay(api.faults, faults);
        lay(api.rate, { limit, windowMs });
        return undefined;
      },
    ),
  ],
  [
    'switch',
    operation(
      {
        revoke: optional(oneOf(WHENS)),
        disable: optional(oneOf(WHENS)),
        aclPatch: optional(oneOf(ACL_EFFECTS)),
        reservations: optional(flag),
        certificateMs: optional(count),
        routeDelayMs: optional(count),
        graceMs: optional(count),
        endpointsPerSession: optional(countOrNull),
        noOpAck: optional(flag),
        enforceHeartbeat: optional(flag),
        urlPort: optional(flag),
      },
      ({ revoke, disable, aclPatch, reservations, certificateMs, ...settings }, { accounts, edge }) => {
        lay(accounts.switches, { revoke, disable, aclPatch, reservations, certificateMs });
        lay(edge.settings, settings);
        return undefined;
      },
    ),
  ],
]);

/** Names of all operations, for messages and help. */
export const OPERATION_NAMES: readonly string[] = [...OPERATIONS.keys()];

/** Carries out one operation; undefined when done, else a sentence that says what is malformed. */
export const operate = async (body: unknown, parts: ControlParts): Promise<string | undefined> => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return 'the body must be one JSON object';
  const { op, ...given }: Record<string, unknown> = { ...body };
  const known = typeof op === 'string' ? OPERATIONS.get(op) : undefined;
  if (!known) return `"op" must be one of ${OPERATION_NAMES.join(', ')}`;
  return known(given, parts);
};
