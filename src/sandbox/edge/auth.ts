import type { Credential, Refusal } from '../contract.ts';
import { type AuthRequest, parseAuth } from './auth-request.ts';
import type { EdgeContext } from './context.ts';
import { newId } from './ids.ts';
import type { RpcAnswer } from './rpc.ts';
import { Session, type SessionParts } from './session.ts';

const MALFORMED_TOKEN = 'ERR_NGROK_105';
const TOO_MANY_SESSIONS = 'ERR_NGROK_108';
const PROTOCOL_VERSION = '3';

/** An accepted Auth: the session, the request it came by, and the answer for the agent. */
export interface Accepted {
  readonly session: Session;
  readonly request: AuthRequest;
  readonly result: RpcAnswer;
}

/** ngrok's own text of this error quotes the token. So does this one: whoever logs error texts shall notice here. */
const quoteToken = (refusal: Refusal, authtoken: string): Refusal =>
  refusal.code !== MALFORMED_TOKEN || refusal.message.includes(authtoken)
    ? refusal
    : { code: refusal.code, message: `${refusal.message}\r\nYour authtoken: ${authtoken}` };

const checkLimit = (context: EdgeContext, credential: Credential, resumedId: string): Refusal | null => {
  const { maxSessions } = credential;
  if (maxSessions === null || context.sessions.count(credential.id, resumedId) < maxSessions) return null;
  return {
    code: TOO_MANY_SESSIONS,
    message: `Your account is limited to ${maxSessions} simultaneous agent sessions.`,
  };
};

/**
 * Decides on an Auth. An agent that brings a known id with its cookie continues that session: it takes its place in
 * all counts, even while the old connection is not known to be dead.
 */
export const authenticate = (
  context: EdgeContext,
  raw: unknown,
  connection: Pick<SessionParts, 'remoteAddr' | 'mux' | 'cut'>,
): Accepted | Refusal => {
  const { accounts, sessions, settings, events, clock } = context;
  const request = parseAuth(raw);
  if (request === null) return { code: '', message: 'This edge speaks version 3 of the agent protocol.' };
  const tooOld = settings.refuseAgent?.(request.agent) ?? null;
  if (tooOld !== null) return tooOld;
  const credential = accounts.authenticate(request.authtoken);
  if ('code' in credential) return quoteToken(credential, request.authtoken);
  const resumed = sessions.mayResume(request.clientId, request.cookie, credential.account);
  const overLimit = checkLimit(context, credential, resumed ? request.clientId : '');
  if (overLimit !== null) return overLimit;

  const id = resumed ? request.clientId : newId('ts', clock.wall());
  const session = new Session(context, { ...connection, id, credential, request });
  const cookie = sessions.enter(session);
  events.emit('session-opened', session, { resumed });
  const answer = {
    Version: PROTOCOL_VERSION,
    ClientId: id,
    Extra: {
      Version: 'sandbox-1',
      Region: context.region,
      Cookie: cookie,
      AccountName: credential.account,
      SessionDuration: 0,
      PlanName: context.plan,
      Banner: '',
    },
  };
  return { session, request, result: { answer } };
};
