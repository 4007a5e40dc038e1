/** The whole sandbox as a library: agent edge, public front ends, API, broker and control door, all on loopback. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Clock, systemClock } from '../core/clock.ts';
import { createAccounts, type SandboxAccounts } from './api/accounts.ts';
import type { RateLimit } from './api/limiter.ts';
import { type Api, startApi } from './api/server.ts';
import { recordSessions } from './api/session-events.ts';
import { type ApiSwitches, defaultSwitches } from './api/switches.ts';
import { randomAuthtoken } from './api/tokens.ts';
import { type Broker, type BrokerOptions, startBroker } from './broker.ts';
import { createCertificateAuthority, issueEdgeCertificate, issueFrontCertificate } from './certificates.ts';
import { type ControlDoor, openControlDoor } from './control/door.ts';
import { type StateView, viewState } from './control/state.ts';
import { createEdge, type Edge } from './edge/edge.ts';
import type { EdgeSettings } from './edge/settings.ts';
import { createFrontEnd, type RunningFrontEnd } from './front/front-end.ts';

export interface SandboxOptions {
  /** Public names are those under it; `edge.test` unless told otherwise. */
  readonly domain?: string;
  /** Where `ca.pem` goes. Left out: a fresh temporary folder, which is removed at the end. */
  readonly dir?: string;
  /** Authtokens by name, besides `default`, which gets a random one unless it is among them. */
  readonly tokens?: Readonly<Record<string, string>>;
  readonly edge?: Partial<EdgeSettings>;
  readonly switches?: Partial<ApiSwitches>;
  readonly rate?: Readonly<RateLimit>;
  readonly broker?: BrokerOptions;
  readonly clock?: Clock;
}

/** The one line of `--json`. Its names are fixed; more may be added. */
export interface SandboxLine {
  readonly v: 1;
  readonly domain: string;
  readonly caFile: string;
  readonly edge: { readonly addr: string; readonly http: string; readonly https: string };
  readonly api: { readonly url: string; readonly key: string };
  readonly broker: { readonly url: string; readonly wsUrl?: string };
  readonly control: { readonly url: string };
  readonly authtokens: Readonly<Record<string, string>>;
}

export interface Sandbox {
  readonly line: SandboxLine;
  readonly dir: string;
  /** Authtokens by name; `default` is always there. */
  readonly authtokens: Readonly<Record<string, string>>;
  readonly edge: Edge;
  readonly front: RunningFrontEnd;
  readonly accounts: SandboxAccounts;
  readonly api: Api;
  readonly broker: Broker;
  readonly control: ControlDoor;
  /** Exceptions inside the sandbox itself. A test ends well only when there are none. */
  readonly bugs: readonly unknown[];
  /** What `GET /state` answers. */
  state(): StateView;
  /** Cuts everybody, closes all ports, removes a temporary folder. Leaves no handle behind. */
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const DEFAULT_DOMAIN = 'edge.test';
const CA_FILE = 'ca.pem';

/** Things to close, the last one opened first. */
type Closers = (() => Promise<unknown>)[];

const closeAll = async (closers: Closers): Promise<void> => {
  for (const close of closers.splice(0).reverse()) await close();
};

const makeDir = async (given: string | undefined, closers: Closers): Promise<string> => {
  if (given !== undefined) {
    const dir = resolve(given);
    await mkdir(dir, { recursive: true });
    return dir;
  }
  const dir = await mkdtemp(join(tmpdir(), 'lockkeeper-sandbox-'));
  closers.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
};

const start = async (options: SandboxOptions, closers: Closers): Promise<Sandbox> => {
  const clock = options.clock ?? systemClock;
  const domain = (options.domain ?? DEFAULT_DOMAIN).toLowerCase();
  const authtokens = { default: randomAuthtoken(), ...options.tokens };
  const bugs: unknown[] = [];
  const onBug = (error: unknown): void => {
    bugs.push(error);
  };

  const dir = await makeDir(options.dir, closers);
  const authority = await createCertificateAuthority(clock.wall());
  const caFile = join(dir, CA_FILE);
  await authority.writeTo(caFile);

  const accounts = createAccounts(clock, { ...defaultSwitches(), ...options.switches });
  for (const [name, secret] of Object.entries(authtokens)) accounts.setToken(secret, { name });

  const front = await createFrontEnd({
    host: HOST,
    domain,
    edge: () => edge,
    certificates: await issueFrontCertificate(authority, domain),
    clock,
    random: clock.random,
  });
  closers.push(() => front.close());
  const edge = await createEdge({
    host: HOST,
    port: 0,
    domain,
    tls: await issueEdgeCertificate(authority),
    accounts,
    frontEnd: () => front,
    clock,
    ...(options.edge ? { settings: options.edge } : {}),
  });
  closers.push(() => edge.close());
  edge.events.on('bug', onBug);
  const api = await startApi({
    clock,
    accounts,
    edge: () => edge,
    domain,
    onBug,
    ...(options.rate ? { rate: options.rate } : {}),
  });
  closers.push(() => api.close());
  recordSessions(edge.events, api.events);
  const broker = await startBroker(options.broker);
  closers.push(() => broker.close());
  const control = await openControlDoor({ edge, accounts, api, broker }, onBug);
  closers.push(() => control.close());

  const line: SandboxLine = {
    v: 1,
    domain,
    caFile,
    edge: { addr: edge.addr, http: front.httpUrl, https: front.httpsUrl },
    api: { url: api.url, key: api.key },
    broker: { url: broker.url, ...(broker.wsUrl === null ? {} : { wsUrl: broker.wsUrl }) },
    control: { url: control.url },
    authtokens,
  };
  return {
    line,
    dir,
    authtokens,
    edge,
    front,
    accounts,
    api,
    broker,
    control,
    bugs,
    state: () => viewState(edge),
    close: () => closeAll(closers),
  };
};

/** Starts everything on free loopback ports; resolves once all of it listens. What was opened is closed on a failure. */
export const startSandbox = async (options: SandboxOptions = {}): Promise<Sandbox> => {
  const closers: Closers = [];
  try {
    return await start(options, closers);
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
};
