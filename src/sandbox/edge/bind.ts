import type { Refusal } from '../contract.ts';
import { type Target, targetOf, urlOf } from './address.ts';
import { type BindRequest, parseBind } from './bind-request.ts';
import type { EdgeContext } from './context.ts';
import { Endpoint } from './endpoint.ts';
import { newId, newSecret } from './ids.ts';
import { poolKey, type Remembered } from './registry.ts';
import { INTERNAL_ERROR_CODE } from './rpc.ts';
import type { Session } from './session.ts';
import { PortUnavailable } from './tcp-ports.ts';

const TOO_MANY_ENDPOINTS = 'ERR_NGROK_324';
const ALREADY_ONLINE = 'ERR_NGROK_334';
const NO_PROTOCOL = 'ERR_NGROK_394';

/** An answered Bind: what the agent gets, and the endpoint that is on line now. */
export interface Bound {
  readonly endpoint: Endpoint;
  readonly answer: Readonly<Record<string, unknown>>;
}

const online = (url: string): Refusal => ({
  code: ALREADY_ONLINE,
  message: `The endpoint '${url}' is already online, and not all of its endpoints have pooling enabled.`,
});

const checkLimit = ({ settings }: EdgeContext, session: Session, request: BindRequest): Refusal | null => {
  const limit = settings.endpointsPerSession;
  const isNew = !session.endpoints.has(request.id);
  if (limit === null || !isNew || session.endpoints.size < limit) return null;
  return { code: TOO_MANY_ENDPOINTS, message: `A session may have at most ${limit} endpoints.` };
};

const checkRights = (context: EdgeContext, session: Session, target: Target): Refusal | null => {
  const { accounts } = context;
  const { proto, host, random } = target;
  const asked = { proto, host, port: random ? null : target.port, random };
  return (
    accounts.mayBind(session.credential.id, asked) ?? accounts.mayUseAddress(session.credential.id, asked)
  );
};

/** The options as they came, with the address in them: the agent sends them again at a rebind. */
const answeredOpts = (request: BindRequest, target: Target): Readonly<Record<string, unknown>> =>
  target.proto === 'tcp'
    ? { ...request.opts, Addr: `${target.host}:${target.port ?? 0}` }
    : { ...request.opts, Hostname: target.host };

const goOnline = (
  context: EdgeContext,
  session: Session,
  request: BindRequest,
  target: Target,
  past: Remembered | undefined,
): Bound | Refusal => {
  const { registry, clock, settings, events, frontEnd } = context;
  const key = poolKey(target, session.credential.account);
  const url = urlOf(target, frontEnd(), settings.urlPort);
  if (registry.isTaken(key, request.id, request.pooled)) return online(url);
  if ((registry.urlOf(key, request.id) ?? url) !== url) return online(url);
  // The agent goes on by the id it knows, whatever an answer says.
  const id = request.id === '' ? newId('ep', clock.wall()) : request.id;
  const opts = answeredOpts(request, target);
  const endpoint = new Endpoint({
    id,
    token: past?.token ?? (request.token === '' ? newSecret() : request.token),
    key,
    url,
    target,
    request,
    owner: session,
    createdAtMs: past?.createdAtMs ?? clock.wall(),
    clock,
    settings,
  });
  const replaced = registry.put(endpoint);
  replaced?.owner.yieldEndpoint(replaced);
  session.endpoints.set(id, endpoint);
  events.emit('endpoint-bound', endpoint, { rebound: request.id !== '' });
  const answer = { Id: id, URL: url, Proto: target.proto, Opts: opts, Extra: { Token: endpoint.token } };
  return { endpoint, answer };
};

/** Why a tcp port could not be opened, for the agent. */
const portRefused = (target: Target, error: PortUnavailable): Refusal => ({
  code: INTERNAL_ERROR_CODE,
  message: `Cannot listen on '${target.host}:${target.port ?? 0}': ${error.message}`,
});

const decide = async (
  context: EdgeContext,
  session: Session,
  request: BindRequest,
): Promise<Bound | Refusal> => {
  const { registry, domain, frontEnd, tcpPorts } = context;
  const past = request.id === '' ? undefined : registry.recall(request.id);
  if (past !== undefined && past.token !== request.token) return online(request.id);
  const target = targetOf(request, domain, past?.random ?? false);
  if ('code' in target) return target;
  const refusal =
    checkRights(context, session, target) ??
    frontEnd().checkBind(request.proto, request.opts, request.forwardsProto) ??
    checkLimit(context, session, request);
  if (refusal !== null) return refusal;
  if (target.proto !== 'tcp' || target.binding !== 'public') {
    return goOnline(context, session, request, target, past);
  }
  try {
    return await tcpPorts.open(target.port ?? 0, (port) =>
      session.mux.hasEnded
        ? { code: INTERNAL_ERROR_CODE, message: 'The session is gone.' }
        : goOnline(context, session, request, { ...target, port }, past),
    );
  } catch (error) {
    if (!(error instanceof PortUnavailable)) throw error;
    return portRefused(target, error);
  }
};

/** Decides on a Bind. Refusals are noted, since agents keep the reason of a refused rebind to themselves. */
export const bind = async (
  context: EdgeContext,
  session: Session,
  raw: unknown,
): Promise<Bound | Refusal> => {
  const request = parseBind(raw);
  const result =
    request === null
      ? { code: NO_PROTOCOL, message: 'A bind needs one of the protocols http, https, tcp and tls.' }
      : await decide(context, session, request);
  if ('code' in result) {
    context.refused({
      sessionId: session.id,
      endpointId: request?.id ?? '',
      address:
        request === null ? '' : `${request.proto}://${request.name || request.addr || request.subdomain}`,
      code: result.code,
      message: result.message,
      atMs: context.clock.wall(),
    });
  }
  return result;
};
