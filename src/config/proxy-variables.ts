/**
 * Proxy variables of the environment. Node follows HTTP_PROXY and its kind when NODE_USE_ENV_PROXY is set, for
 * loopback too; both programs call one of these first thing, before any request and before any child is started.
 */
import http from 'node:http';

type Environment = Record<string, string | undefined>;

/** How this machine may be written in a URL. */
const LOOPBACK = ['localhost', '127.0.0.1', '::1', '[::1]'];

const setExceptions = (env: Environment, exceptions: string): void => {
  // The lower-case spelling wins where both are set.
  env['NO_PROXY'] = exceptions;
  env['no_proxy'] = exceptions;
  // Absent before 24.14, where a proxy can only be switched off by whoever starts the process.
  if (env['NODE_USE_ENV_PROXY'] && 'setGlobalProxyFromEnv' in http)
    http.setGlobalProxyFromEnv(env as http.ProxyEnv);
};

/** For the daemon and its children: no request of theirs goes through a proxy. Probes and sockets are all local. */
export const ignoreProxies = (env: Environment): void => {
  setExceptions(env, '*');
  delete env['NODE_USE_ENV_PROXY'];
};

/** For the command line: requests to this machine are direct, ones to the API follow the proxy as Node does. */
export const keepLoopbackDirect = (env: Environment): void => {
  const given = env['no_proxy'] || env['NO_PROXY'];
  setExceptions(env, [...(given ? [given] : []), ...LOOPBACK].join(','));
};
