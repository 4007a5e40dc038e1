import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';
import { type ConnectAsk, type SdkAgent, startSdkAgent } from './sdk-agent.ts';

export interface ApiReply {
  readonly status: number;
  /** Empty for an answer without a body. */
  readonly body: Record<string, unknown>;
}

export interface ApiCall {
  /** Headers to add or, as undefined, to leave out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Sent as it is, instead of a JSON body. */
  readonly raw?: string;
  readonly key?: string;
}

export interface SandboxWorld {
  readonly sandbox: Sandbox;
  /** Calls the API; `path` without its leading slash. */
  api(method: string, path: string, body?: unknown, call?: ApiCall): Promise<ApiReply>;
  /** `POST /faults`. */
  fault(body: unknown): Promise<ApiReply>;
  /** A process with the SDK in it, connected with the default token unless told otherwise. */
  agent(ask?: Partial<ConnectAsk>): Promise<SdkAgent>;
  /** The same, not connected. */
  idleAgent(): Promise<SdkAgent>;
}

const replyOf = async (response: Response): Promise<ApiReply> => {
  const answer = await response.text();
  return {
    status: response.status,
    body: answer === '' ? {} : (JSON.parse(answer) as Record<string, unknown>),
  };
};

/** The body that a public host name gives at a front end's address. `fetch` would not send a Host header of ours. */
export const visit = async (front: string, host: string): Promise<string> => {
  const asking = request(front, { agent: false, headers: { host } }).end();
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  return text(answer);
};

/** A whole sandbox with clients for its doors. Ends with the test, which fails if the sandbox met a bug. */
export const startSandboxWorld = async (options: SandboxOptions = {}): Promise<SandboxWorld> => {
  const sandbox = await startSandbox(options);
  const agents: SdkAgent[] = [];
  onTestFinished(async () => {
    await Promise.all(agents.map((agent) => agent.kill()));
    await sandbox.close();
    if (sandbox.bugs.length > 0) throw new AggregateError(sandbox.bugs, 'the sandbox met a bug');
  });
  const idleAgent = async (): Promise<SdkAgent> => {
    const agent = await startSdkAgent();
    agents.push(agent);
    return agent;
  };
  return {
    sandbox,
    api: async (method, path, body, { headers = {}, raw, key = sandbox.api.key } = {}) => {
      const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
      const all: Record<string, string | undefined> = {
        authorization: `Bearer ${key}`,
        'ngrok-version': '2',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      };
      const given = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
      // Bytes, since fetch names a content type of its own for texts.
      const bytes = sent === undefined ? {} : { body: new TextEncoder().encode(sent) };
      const url = path.startsWith('http:') ? path : `${sandbox.api.url}/${path}`;
      return replyOf(await fetch(url, { method, headers: given, ...bytes }));
    },
    fault: async (body) =>
      replyOf(
        await fetch(`${sandbox.control.url}/faults`, {
          method: 'POST',
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      ),
    idleAgent,
    agent: async (ask = {}) => {
      const agent = await idleAgent();
      const authtoken = sandbox.authtokens['default'] ?? '';
      const rootCas = sandbox.line.caFile;
      await agent.connect({ serverAddr: sandbox.edge.addr, rootCas, authtoken, ...ask });
      return agent;
    },
  };
};
