import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { EdgeState, FrontEnd } from '../contract.ts';
import { createAgentPools } from './agent-pools.ts';
import { checkRules, rulesByEndpoint } from './endpoint-rules.ts';
import type { FrontContext } from './exchange.ts';
import { httpServerOptions, serveHttp } from './http.ts';
import type { PolicyLog } from './policy/compile.ts';

/** PEM of the pair that the https port shows for names under the sandbox's domain. */
export interface FrontCertificates {
  readonly cert: string;
  readonly key: string;
}

export interface FrontEndOptions {
  readonly host: '127.0.0.1';
  /** Public names are those under it. */
  readonly domain: string;
  /** Asked at each request, since the edge may be built after its front ends. */
  readonly edge: () => EdgeState;
  readonly certificates: FrontCertificates;
  readonly clock: Clock;
  /** Uniform in [0, 1): picks pool members. */
  readonly random: () => number;
  /** Takes what the policy action `log` writes. */
  readonly log?: PolicyLog;
}

/** The public side of the sandbox, listening. */
export interface RunningFrontEnd extends FrontEnd {
  readonly httpUrl: string;
  readonly httpsUrl: string;
  /** Stops listening and ends all visitors' connections. */
  close(): Promise<void>;
}

/** Opens the public ports, free ones, on loopback. */
export const createFrontEnd = async (options: FrontEndOptions): Promise<RunningFrontEnd> => {
  const ruleContext = { clock: options.clock, log: options.log ?? (() => undefined) };
  const rulesOf = rulesByEndpoint(ruleContext);
  const pools = createAgentPools(options.clock, (endpoint) => rulesOf(endpoint).proxyProto);
  const context: FrontContext = { edge: options.edge, rulesOf, pools, random: options.random };
  const http = createServer(httpServerOptions);
  serveHttp(http, 'http', context);
  const httpPort = await listen(http, options.host);
  return {
    httpPort,
    httpsPort: 0,
    httpUrl: `http://${options.host}:${httpPort}`,
    httpsUrl: '',
    openTcp: () => Promise.reject(new Error('not yet')),
    closeTcp: () => Promise.resolve(),
    checkBind: (proto, opts, forwardsProto) => checkRules(proto, opts, forwardsProto, ruleContext),
    endpointGone: (endpoint) => pools.retire(endpoint),
    close: async () => {
      http.closeAllConnections();
      await new Promise<void>((resolve) => http.close(() => resolve()));
      pools.retireAll();
    },
  };
};

const listen = (server: Server, host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
