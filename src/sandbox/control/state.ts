import type { EdgeEndpoint, EdgeSession, EdgeState } from '../contract.ts';

export interface SessionView {
  readonly id: string;
  readonly authtokenName: string;
  /** ISO 8601. */
  readonly since: string;
  readonly metadata: string;
  readonly clientInfo: string;
  readonly account: string;
  readonly credentialId: string;
}

export interface EndpointView {
  readonly id: string;
  readonly url: string;
  readonly proto: string;
  readonly sessionId: string;
  readonly pooled: boolean;
  readonly metadata: string;
  readonly requests: number;
  readonly binding: string;
}

/** `GET /state`: who is connected and what is on line. */
export interface StateView {
  readonly sessions: readonly SessionView[];
  readonly endpoints: readonly EndpointView[];
}

const sessionView = (session: EdgeSession): SessionView => ({
  id: session.id,
  authtokenName: session.credential.name,
  since: new Date(session.startedAtMs).toISOString(),
  metadata: session.metadata,
  clientInfo: session.clientInfo,
  account: session.credential.account,
  credentialId: session.credential.id,
});

const endpointView = (endpoint: EdgeEndpoint): EndpointView => ({
  id: endpoint.id,
  url: endpoint.url,
  proto: endpoint.proto,
  sessionId: endpoint.sessionId,
  pooled: endpoint.pooled,
  metadata: endpoint.metadata,
  requests: endpoint.requests,
  binding: endpoint.binding,
});

export const viewState = (edge: EdgeState): StateView => {
  const sessions = [...edge.sessions.values()];
  return {
    sessions: sessions.map(sessionView),
    endpoints: sessions.flatMap((session) => [...session.endpoints.values()].map(endpointView)),
  };
};
