/** What the device shows of itself: the status with its health report, the metrics, and the page on the loopback port. */
import { loadavg } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { parseHttpListen } from '../config/http-listen.ts';
import type { MachineMetrics } from '../control/metrics.ts';
import { type PageServer, startPageServer } from '../control/page-server.ts';
import type { Observed } from '../control/routes.ts';
import type { Clock } from '../core/clock.ts';
import type { ConditionNow } from '../core/condition.ts';
import type { Fault } from '../core/errors.ts';
import type { Daemon } from '../daemon/options.ts';
import type { StatusDocument } from '../daemon/status.ts';
import { type MachineState, machineState } from '../health/machine.ts';
import { startPublicProbes } from '../health/public-probe.ts';
import { type HealthReport, healthReport } from '../health/report.ts';
import { readSecret } from '../vault/secret-file.ts';

const LISTEN_AGAIN_MS = 10_000;
/** Figures of the machine are not read more often. */
const MACHINE_FRESH_MS = 5000;

export interface ObservabilityOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
  daemon(): Daemon;
  /** What the last check of each endpoint's upstream found. */
  upstreams(): ReadonlyMap<string, 'up' | 'down'>;
}

export interface Observability {
  readonly observed: Observed & { status(): StatusDocument & { readonly health: HealthReport } };
  conditions(): readonly ConditionNow[];
  /** Opens the page's port if there is to be one; tries again while it cannot be had. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export const createObservability = async (options: ObservabilityOptions): Promise<Observability> => {
  const { config, clock, log } = options;
  const startedAtS = Math.round(clock.wall() - process.uptime() * 1000) / 1000;
  let machine: MachineState = await machineState(config.stateDir);
  let readAt = clock.now();
  let reading: Promise<void> | null = null;
  let server: PageServer | null = null;
  let listenFault: Fault | null = null;
  let cancel = (): void => undefined;
  let isOver = false;

  const probes = startPublicProbes({
    clock,
    everyMs: config.report.probeS * 1000,
    endpoints: () =>
      options
        .daemon()
        .status()
        .endpoints.filter(({ state, proto }) => state === 'up' && proto === 'http'),
  });

  /** Whoever asks gets what was read last, and has it read anew for the next one. */
  const refresh = (): Promise<void> => {
    if (clock.now() - readAt < MACHINE_FRESH_MS) return Promise.resolve();
    reading ??= machineState(config.stateDir).then((next) => {
      machine = next;
      readAt = clock.now();
      reading = null;
    });
    return reading;
  };

  const observed = {
    status: () => {
      void refresh();
      const status = options.daemon().status();
      const upstreams = options.upstreams();
      return { ...status, health: healthReport({ status, machine, upstreams, probes: probes.seen() }) };
    },
    machine: async (): Promise<MachineMetrics> => {
      await refresh();
      const { user, system } = process.cpuUsage();
      return {
        loadAverage1m: loadavg()[0] ?? 0,
        memoryUsed: machine.memoryUsed,
        filesystemUsed: machine.diskUsed,
        temperatureC: machine.temperatureC,
        networkIn: machine.networkIn,
        networkOut: machine.networkOut,
        rssBytes: process.memoryUsage.rss(),
        cpuSeconds: (user + system) / 1e6,
        startedAtS,
      };
    },
    stalled: () => options.daemon().stalled(),
    upstreamUrl: (upstream: string) => config.upstreams[upstream]?.url ?? upstream,
    isPooled: (endpoint: string) => config.endpoints.find(({ name }) => name === endpoint)?.pooling ?? true,
  };

  const token = async (): Promise<string | null> => {
    if (config.http.tokenFile === '') return null;
    const secret = await readSecret(config.http.tokenFile, options.env);
    return secret.ok ? secret.value.text.trim() : null;
  };

  const listen = async (): Promise<void> => {
    const where = parseHttpListen(config.http.listen);
    if (!where.ok || isOver) return;
    const started = await startPageServer({
      ...observed,
      ...where.value,
      clock,
      page: config.http.page,
      metrics: config.http.metrics,
      token,
      events: () => options.daemon().recentEvents(),
    });
    const before = listenFault;
    listenFault = started.ok ? null : started.fault;
    if (started.ok) {
      server = started.value;
      log.info({ host: where.value.host, port: server.port }, 'page and metrics listen');
    } else {
      // Tunnels matter more than the page: they run, and it comes when its port is free.
      if (before === null) log.error({ ...started.fault }, 'page and metrics cannot listen');
      cancel = clock.after(LISTEN_AGAIN_MS, () => void listen());
    }
    if ((before === null) !== (listenFault === null)) options.daemon().changed();
  };

  return {
    observed,
    conditions: () =>
      listenFault === null
        ? []
        : [{ code: 'CONFIG_INVALID', severity: 'warning', message: `${listenFault.message}.` }],
    start: async () => {
      if (config.http.listen !== '') await listen();
    },
    stop: async () => {
      isOver = true;
      cancel();
      probes.stop();
      await server?.close();
    },
  };
};
