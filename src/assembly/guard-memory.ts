/**
 * Keeps Node from writing or showing this process's memory by itself: the authtokens are there in clear. What Node offers
 * for looking inside a program is meant for its developer, and a line in a service's environment turns it on for good.
 */
import { readFileSync, writeSync } from 'node:fs';

/** Options that write the heap or a core, open a debugger's port, or keep the keys of TLS connections. */
const OPTIONS = [
  '--heapsnapshot-near-heap-limit',
  '--heapsnapshot-signal',
  '--abort-on-uncaught-exception',
  '--inspect',
  '--tls-keylog',
  '--trace-tls',
];

/** Variables that make Node or a library print what goes over its connections. */
const DEBUGS = ['NODE_DEBUG', 'NODE_DEBUG_NATIVE', 'DEBUG'];

/** Names of variables that this program must not run under. Pure. */
export const leakyVariables = (env: Readonly<Record<string, string | undefined>>): readonly string[] => {
  // Node takes underscores for hyphens.
  const options = (env['NODE_OPTIONS'] ?? '').replaceAll('_', '-');
  return [
    ...(OPTIONS.some((option) => options.includes(option)) ? ['NODE_OPTIONS'] : []),
    ...DEBUGS.filter((name) => (env[name] ?? '') !== ''),
  ];
};

/** True where the limits let a crash leave a core file. `limits` is the text of `/proc/PID/limits`. */
export const allowsCore = (limits: string): boolean => {
  const [, soft] = /^Max core file size +(\S+)/m.exec(limits) ?? [];
  return soft !== undefined && soft !== '0';
};

const CORE_WARNING =
  'core files are allowed (ulimit -c): one would hold the authtokens; the unit should say LimitCORE=0';

/** A sentence for the log where a crash may write a core file; null where it may not, or the system does not tell. */
export const coreWarning = (): string | null => {
  try {
    return allowsCore(readFileSync('/proc/self/limits', 'latin1')) ? CORE_WARNING : null;
  } catch {
    return null;
  }
};

/**
 * Call first. Turns diagnostic reports off and takes SIGUSR1, which would open a debugger's port for every local user.
 * Under a leaky variable the program begins anew without it, under the same process id: it read the variable already.
 * The sentence that comes back says why it could not.
 */
export const guardMemory = (env: NodeJS.ProcessEnv): string | null => {
  if (process.report !== undefined) {
    process.report.reportOnFatalError = false;
    process.report.reportOnUncaughtException = false;
    process.report.reportOnSignal = false;
    process.report.excludeEnv = true;
  }
  process.on('SIGUSR1', () => undefined);
  const leaky = leakyVariables(env);
  if (leaky.length === 0) return null;
  const what = `${leaky.join(', ')} of the environment would show or write authtokens`;
  for (const name of leaky) delete env[name];
  // A successor's channel does not outlive a new beginning; its predecessor has no such variable to pass on.
  if (process.execve === undefined || process.connected === true) return `${what}: take it away`;
  writeSync(2, `${what}: it is not used\n`);
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, args, env as Record<string, string>);
  return null;
};
