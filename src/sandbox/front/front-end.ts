import { createServer } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import type { EdgeState, FrontEnd } from '../contract.ts';
import { createHttp2Agents } from './agent-http2.ts';
import { createAgentPools } from './agent-pools.ts';
import { createConnections } from './connections.ts';
import { checkRules, rulesByEndpoint } from './endpoint-rules.ts';
import type { FrontContext } from './front-context.ts';
import { httpServerOptions, serveHttp } from './http.ts';
import { createHttpsPort, type FrontCertificates } from './https.ts';
import { closed, listening } from './listening.ts';
import type { PolicyLog } from './policy/actions.ts';
import { createStreamOpener } from './stream-opener.ts';
import { createTcpPorts } from './tcp.ts';

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
  const opener = createStreamOpener();
  const pools = createAgentPools(options.clock, opener, (endpoint) => rulesOf(endpoint).proxyProto);
  const http2 = createHttp2Agents(opener, options.clock);
  const context: FrontContext = {
    edge: options.edge,
    rulesOf,
    opener,
    pools,
    http2,
    random: options.random,
    clock: options.clock,
  };
  const connections = createConnections();
  const http = createServer(httpServerOptions);
  http.on('connection', (socket) => connections.take(socket));
  serveHttp(http, 'http', context, null);
  const https = createHttpsPort(context, options.certificates, connections, options.clock);
  const tcp = createTcpPorts(options.host, context, connections);
  const httpPort = await listening(http, options.host, 0);
  const httpsPort = await listening(https, options.host, 0);
  return {
    httpPort,
    httpsPort,
    httpUrl: `http://${options.host}:${httpPort}`,
    httpsUrl: `https://${options.host}:${httpsPort}`,
    openTcp: (port) => tcp.open(port),
    closeTcp: (port) => tcp.close(port),
    checkBind: (proto, opts, forwardsProto) => checkRules(proto, opts, forwardsProto, ruleContext),
    endpointGone: (endpoint) => {
      pools.retire(endpoint);
      http2.retire(endpoint);
    },
    close: async () => {
      await Promise.all([closed(http), closed(https), tcp.closeAll(), connections.destroyAll()]);
      pools.retireAll();
      http2.retireAll();
    },
  };
};
