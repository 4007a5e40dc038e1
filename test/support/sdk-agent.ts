import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { waitFor } from './wait-for.ts';

const FIXTURE = fileURLToPath(new URL('./sdk-agent.mjs', import.meta.url));

/** A call of the SDK that was refused. */
export class SdkRefusal extends Error {
  readonly errorCode: string | null;
  constructor(message: string, errorCode: string | null) {
    super(message);
    this.errorCode = errorCode;
  }
}

export interface ConnectAsk {
  readonly serverAddr: string;
  readonly authtoken?: string;
  readonly caPem?: string;
  readonly rootCas?: string;
  readonly metadata?: string;
  readonly heartbeatS?: number;
  readonly toleranceS?: number;
  /** Sets handlers for stop, restart and update. */
  readonly handlers?: boolean;
  readonly client?: readonly [string, string, string];
  /** Name of the session within the process; `main` when absent. */
  readonly session?: string;
}

export interface BindAsk {
  readonly name: string;
  readonly session?: string;
  readonly proto: 'http' | 'tcp' | 'tls';
  /** Builder methods and their arguments; `{pem}` becomes bytes. */
  readonly calls?: readonly (readonly [string, ...unknown[]])[];
  readonly to?: string;
}

/** Something that the SDK told by a callback, or the end of a `join()`. */
export type SdkEvent = { readonly event: string } & Readonly<Record<string, unknown>>;

/** A process with the real SDK in it. */
export interface SdkAgent {
  readonly pid: number;
  readonly events: readonly SdkEvent[];
  connect(ask: ConnectAsk): Promise<void>;
  bind(ask: BindAsk): Promise<{ id: string; url: string }>;
  /** Binds without ever accepting a connection. */
  listen(ask: BindAsk): Promise<{ id: string; url: string }>;
  close(name: string): Promise<void>;
  closeSession(): Promise<void>;
  url(name: string): Promise<string>;
  /** Resolves with the n-th (from 1) event of that kind, seen already or yet to come. */
  event(kind: string, nth?: number): Promise<SdkEvent>;
  signal(signal: NodeJS.Signals): void;
  /** Ends the process at once; resolves when it is gone. */
  kill(): Promise<void>;
}

type Answer = { id: number; value?: unknown; error?: { message: string; errorCode: string | null } };

/** Starts an agent process. The caller kills it. */
export const startSdkAgent = async (): Promise<SdkAgent> => {
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env['NODE_OPTIONS'];
  const child: ChildProcess = fork(FIXTURE, [], { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const events: SdkEvent[] = [];
  const pending = new Map<number, (answer: Answer) => void>();
  let lastId = 0;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.on('message', (message: SdkEvent | Answer) => {
    if ('event' in message) events.push(message);
    else pending.get(message.id)?.(message);
  });
  const ask = (op: string, fields: object = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      pending.set(id, (answer) => {
        pending.delete(id);
        if (answer.error === undefined) resolve(answer.value);
        else reject(new SdkRefusal(answer.error.message, answer.error.errorCode));
      });
      child.send({ id, op, ...fields });
    });
  const event = (kind: string, nth = 1): Promise<SdkEvent> =>
    waitFor(() => events.filter((seen) => seen.event === kind)[nth - 1], { what: `the SDK's event ${kind}` });
  await event('ready');
  return {
    pid: child.pid ?? 0,
    events,
    connect: async (fields) => void (await ask('connect', fields)),
    bind: (fields) => ask('bind', fields) as Promise<{ id: string; url: string }>,
    listen: (fields) => ask('listen', fields) as Promise<{ id: string; url: string }>,
    close: async (name) => void (await ask('close', { name })),
    closeSession: async () => void (await ask('closeSession')),
    url: (name) => ask('url', { name }) as Promise<string>,
    event,
    signal: (signal) => void child.kill(signal),
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
};
