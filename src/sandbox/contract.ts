/**
 * How the parts of the sandbox meet: the agent edge (`edge/`) owns sessions and endpoints, the public front ends
 * (`front/`) send visitors into them, the API stand-in (`api/`) owns accounts and credentials. One state, no copies.
 */
import type { Duplex } from 'node:stream';

/** A refusal in ngrok's form: the text shown to the agent, and the code on a line of its own. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** Who an authtoken belongs to and what it may do. */
export interface Credential {
  readonly id: string;
  /** Name shown in `GET /state`: the `--token NAME=SECRET` name, or the credential's description. */
  readonly name: string;
  readonly account: string;
  readonly ownerId: string;
  readonly acl: readonly string[];
  readonly maxSessions: number | null;
}

/** Owned by `api/`; asked by the edge at Auth and Bind. */
export interface Accounts {
  /** 4018 for an empty token, 105 for one without ngrok's form, 107 for one that is unknown, deleted or suspended. */
  authenticate(authtoken: string): Credential | Refusal;
  /** Null when the credential (as it stands now) may bind `target`; 300, 316, 308 or 356 otherwise. */
  mayBind(
    credentialId: string,
    target: { proto: string; host: string; port: number | null; random: boolean },
  ): Refusal | null;
  /** Reservation checks that are switched on (318, 319, 307, 309, 320); null when all is well. */
  mayUseAddress(
    credentialId: string,
    target: { proto: string; host: string; port: number | null; random: boolean },
  ): Refusal | null;
  /** Called when a credential stops being valid, so that the edge can cut its sessions if told to. */
  onRevoked(listener: (credentialId: string, when: 'at-once' | 'next-bind' | 'next-connect') => void): void;
}

/** What the front end tells about a visitor when it opens a stream. */
export interface Visitor {
  /** `ip:port`. */
  readonly clientAddr: string;
  /** True for a tls endpoint without edge termination. */
  readonly passthroughTls: boolean;
}

/** One bound endpoint, as the front ends and the API see it. Owned by the edge. */
export interface EdgeEndpoint {
  readonly id: string;
  readonly url: string;
  readonly proto: 'http' | 'https' | 'tcp' | 'tls';
  readonly host: string;
  readonly port: number | null;
  readonly binding: 'public' | 'internal' | 'kubernetes';
  readonly pooled: boolean;
  readonly sessionId: string;
  readonly account: string;
  readonly metadata: string;
  readonly forwardsTo: string;
  readonly forwardsProto: string;
  readonly createdAtMs: number;
  /** Bind options as the agent sent them (PascalCase). */
  readonly opts: Readonly<Record<string, unknown>>;
  /** Requests (http) or connections (tcp, tls) sent here so far; the front end counts. */
  requests: number;
  /**
   * Opens one proxy stream. Half-open (`allowHalfOpen`), back-pressured by the agent's window; destroying it ends the
   * stream in the way the protocol asks for. Rejects when the session is gone or its cap is reached; the error's
   * `code` is `STREAM_CAP` in the latter case, which a visitor over HTTP sees as 503 instead of 502.
   */
  open(visitor: Visitor): Promise<Duplex>;
}

export interface EdgeSession {
  readonly id: string;
  readonly credential: Credential;
  readonly startedAtMs: number;
  readonly metadata: string;
  readonly remoteAddr: string;
  readonly os: string;
  readonly agentVersion: string;
  readonly clientInfo: string;
  /** Empty when the agent has a handler; else the reason it gave. */
  readonly unsupported: { readonly stop: string; readonly restart: string; readonly update: string };
  /** Sends stop, restart or update; resolves with the agent's answer: null, or its error text. */
  command(
    op: 'stop' | 'restart' | 'update',
    args?: { version: string; permitMajor: boolean },
  ): Promise<string | null>;
  readonly endpoints: ReadonlyMap<string, EdgeEndpoint>;
}

/** The front ends listen before the edge answers a bind, so that a URL in the answer can be used. */
export interface FrontEnd {
  /** Ports to print in URLs; 443 and 80 are left out of URLs. */
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Ports of tls endpoints are the https port: SNI tells them apart. */
  /** Opens the loopback port of a tcp endpoint (0 = any) and returns it; pool members share it. */
  openTcp(port: number): Promise<number>;
  closeTcp(port: number): Promise<void>;
  /** Null, or a refusal (9026 and the like) for bind options or a policy that the front end cannot honour. */
  checkBind(proto: string, opts: Readonly<Record<string, unknown>>, forwardsProto: string): Refusal | null;
  /** Called when an endpoint is gone, so that idle pooled streams are ended. */
  endpointGone(endpoint: EdgeEndpoint): void;
}

/** Owned by the edge; read by front ends, API and the control door. */
export interface EdgeState {
  readonly sessions: ReadonlyMap<string, EdgeSession>;
  /** Online members for a public name or port, all of one pool; empty when nothing is bound. Exact before `*.suffix`. */
  members(kind: 'http' | 'https' | 'tls', host: string): readonly EdgeEndpoint[];
  tcpMembers(port: number): readonly EdgeEndpoint[];
  /** Closes the TCP connection of one session (API expiry, revocation). */
  cut(sessionId: string, how: 'fin' | 'rst'): void;
  /** Ends one endpoint with StopTunnel. */
  stopEndpoint(endpointId: string, message: string, code: string | null): void;
}
