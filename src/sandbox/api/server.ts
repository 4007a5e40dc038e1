/** The stand-in of ngrok's API on loopback: one request after the other through the same list of checks. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, sleep } from '../../core/clock.ts';
import type { EdgeState } from '../contract.ts';
import { DEFAULT_ACCOUNT, type SandboxAccounts } from './accounts.ts';
import { createEventLog, type EventLog } from './event-log.ts';
import { type ApiFaults, noFaults, sendAnswer, takeFault } from './faults.ts';
import { checkNames, checkValues } from './fields.ts';
import { hasIdForm } from './ids.ts';
import { type ApiKeys, createKeys } from './keys.ts';
import { createLimiter, DEFAULT_RATE, type RateLimit } from './limiter.ts';
import { isProblem, type Problem, problem, problemBody, statusOf } from './problems.ts';
import { cloudRefusal } from './resources/endpoint-place.ts';
import { addressRefusal } from './resources/reserved-addrs.ts';
import { domainRefusal } from './resources/reserved-domains.ts';
import type { Answer, Caller, Route } from './route.ts';
import { allRoutes, findRoute, type Match } from './routes.ts';
import { createWorld, type World } from './world.ts';

export interface ApiOptions {
  readonly clock: Clock;
  readonly accounts: SandboxAccounts;
  /** Asked at each request, since the edge may be built later. */
  readonly edge: () => EdgeState;
  readonly domain: string;
  readonly rate?: Readonly<RateLimit>;
  /** Told of an exception inside the stand-in; its client gets a 500. */
  readonly onBug?: (error: unknown) => void;
}

/** The API, listening. */
export interface Api {
  readonly url: string;
  /** An administrator's key of account `A`. */
  readonly key: string;
  readonly keys: ApiKeys;
  readonly faults: ApiFaults;
  readonly rate: RateLimit;
  readonly events: EventLog;
  /** Requests answered so far, refusals included. */
  readonly answered: number;
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
const VERSION = '2';
const MOST_BODY_BYTES = 1_000_000;

const readBody = async (request: IncomingMessage): Promise<Buffer | Problem> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // The rest is read and dropped, so that the client gets its answer.
    if (size <= MOST_BODY_BYTES) chunks.push(chunk);
  }
  return size > MOST_BODY_BYTES ? problem('bodyTooLarge') : Buffer.concat(chunks);
};

const checkVersion = (request: IncomingMessage): Problem | null => {
  const version = request.headers['ngrok-version'];
  if (version === undefined) return problem('noVersion');
  return version === VERSION ? null : problem('badVersion');
};

const parseJson = (bytes: Buffer): Record<string, unknown> | Problem => {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { ...value };
    }
  } catch {
    // Said below.
  }
  return problem('badJson');
};

/** 216, 210, 211, 213: the body as an object; an absent one counts as empty. */
const bodyOf = (request: IncomingMessage, route: Route, bytes: Buffer): Record<string, unknown> | Problem => {
  if (bytes.length === 0) return {};
  if (route.body === null) return problem('bodyNotExpected');
  const type = request.headers['content-type'];
  if (type === undefined) return problem('noContentType');
  if (type.split(';')[0]?.trim().toLowerCase() !== 'application/json') return problem('badContentType');
  return parseJson(bytes);
};

/** 214, 231, 227, then the values: what the resource gets to see, or the refusal. */
const runRoute = (
  { route, params }: Match,
  caller: Caller,
  raw: Readonly<Record<string, unknown>>,
  query: URLSearchParams,
): Answer | Problem | Promise<Answer | Problem> => {
  const { fields, at } = route.body ?? { fields: {}, at: 'create' as const };
  const badName = checkNames(raw, fields, at);
  if (badName) return badName;
  for (const name of query.keys()) if (!route.query.includes(name)) return problem('unknownQuery', { name });
  if (route.idPrefix !== undefined && !hasIdForm(params['id'] ?? '', route.idPrefix))
    return problem('wrongPrefix');
  const body = checkValues(raw, fields, at);
  return isProblem(body) ? body : route.run({ caller, params, body, query });
};

interface Parts {
  readonly world: World;
  readonly routes: readonly Route[];
  readonly faults: ApiFaults;
  readonly mayAsk: (account: string) => boolean;
}

/** Order of the checks: key, version, rate, route, content type, JSON, field names, query, values. Undocumented. */
const answerTo = async (parts: Parts, request: IncomingMessage): Promise<Answer | Problem> => {
  const bytes = await readBody(request);
  if (takeFault(parts.faults, 'failing')) return problem('broken');
  const caller = parts.world.keys.caller(request.headers.authorization);
  if (isProblem(caller)) return caller;
  const badVersion = checkVersion(request);
  if (badVersion) return badVersion;
  if (takeFault(parts.faults, 'tooManyAtOnce')) return problem('tooManyAtOnce');
  if (takeFault(parts.faults, 'tooMany') || !parts.mayAsk(caller.account)) return problem('tooMany');
  const url = new URL(request.url ?? '/', 'http://localhost');
  const match = findRoute(parts.routes, request.method ?? '', url.pathname.slice(1));
  if (!match) return problem('noRoute');
  if (!Buffer.isBuffer(bytes)) return bytes;
  const raw = bodyOf(request, match.route, bytes);
  return isProblem(raw) ? raw : runRoute(match, caller, raw, url.searchParams);
};

/** Starts the API on a free loopback port and lets the accounts ask it about addresses. */
export const startApi = async (options: ApiOptions): Promise<Api> => {
  const { clock, accounts, domain } = options;
  const rate: RateLimit = { ...DEFAULT_RATE, ...options.rate };
  const faults = noFaults();
  const keys = createKeys(clock, accounts, DEFAULT_ACCOUNT);
  const events = createEventLog(clock, accounts.newId);
  let origin = '';
  const edge: EdgeState = {
    get sessions() {
      return options.edge().sessions;
    },
    members: (kind, host) => options.edge().members(kind, host),
    tcpMembers: (port) => options.edge().tcpMembers(port),
    cut: (sessionId, how) => options.edge().cut(sessionId, how),
    stopEndpoint: (id, message, code) => options.edge().stopEndpoint(id, message, code),
  };
  const world = createWorld({ clock, accounts, keys, edge, events, domain, origin: () => origin });
  const parts: Parts = { world, routes: allRoutes(world), faults, mayAsk: createLimiter(clock, rate) };
  accounts.checkAddresses((account, target) => {
    const taken = cloudRefusal(world, target);
    if (taken !== null || !accounts.switches.reservations) return taken;
    return target.proto === 'tcp'
      ? addressRefusal(world, account, target)
      : domainRefusal(world, account, target);
  });

  let answered = 0;
  const closing = new AbortController();
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const answer = await answerTo(parts, request).catch((error: unknown) => {
      // A client that leaves while its request is read is no bug of ours.
      if (!request.destroyed || request.complete) options.onBug?.(error);
      return problem('broken');
    });
    if (faults.delayMs > 0) await sleep(clock, faults.delayMs, closing.signal);
    answered += 1;
    if (isProblem(answer)) {
      const body = problemBody(answer, world.newId('op'));
      sendAnswer(response, faults, answered, statusOf(answer), body);
    } else {
      sendAnswer(response, faults, answered, answer.status, answer.body);
    }
  };
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.socket?.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, LOOPBACK, resolve);
  });
  origin = `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`;

  return {
    url: origin,
    key: keys.add({ description: 'sandbox' }).key,
    keys,
    faults,
    rate,
    events,
    get answered() {
      return answered;
    },
    close: () => {
      closing.abort(new Error('the sandbox is closing'));
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
};
