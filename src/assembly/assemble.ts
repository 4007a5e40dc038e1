/** Makes a running daemon out of a configuration: every room is opened here and joined to the daemon's ports. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { bindFromSpec, endpointFromConfig, endpointFromDocument } from '../config/endpoints.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { startControlServer } from '../control/server.ts';
import { systemClock } from '../core/clock.ts';
import type { ConditionNow } from '../core/condition.ts';
import { type Fault, failed, ok, type Result } from '../core/errors.ts';
import { BUILT_AFTER_S, NGROK_VERSION, VERSION } from '../core/version.ts';
import { createDaemon } from '../daemon/daemon.ts';
import { createDeviceClock } from '../daemon/device-clock.ts';
import type { Daemon } from '../daemon/options.ts';
import { machineFigures } from '../health/machine.ts';
import { createUpstreamChecks } from '../health/upstream-check.ts';
import { createLink } from '../link/link.ts';
import { createLogger } from '../log/logger.ts';
import { newBootNonce } from '../protocol/ids.ts';
import { unsealToken } from '../protocol/seal.ts';
import { probeEdge } from '../tunnel/probe-edge.ts';
import { createTunnels, defaultProcessEntry } from '../tunnel/tunnels.ts';
import { checkLockFile, createLockFile } from '../vault/lock-file.ts';
import { openOutboxFile } from '../vault/outbox-file.ts';
import { asVaultPort } from '../vault/vault-port.ts';
import { createDeviceIdentity } from './device-identity.ts';
import { dialForCheck } from './dial-for-check.ts';
import { createDiskWatch } from './disk-watch.ts';
import { coreWarning } from './guard-memory.ts';
import { statusLine } from './notify-watch.ts';
import { createObservability } from './observability.ts';
import { openState } from './open-state.ts';
import { ownConditions } from './own-conditions.ts';
import { createTokenFile } from './token-file.ts';
import { openTrustKeeper } from './trust.ts';
import { addressesNow, every } from './watchers.ts';
import { windowState } from './window-state.ts';

/** Written by systemd's time service once the clock is set. */
const SYNCHRONISED = '/run/systemd/timesync/synchronized';
const DISK_LOOK_MS = 5000;

export interface Running {
  readonly log: Logger;
  /** Drains everything; resolves when nothing runs any more. */
  stop(): Promise<void>;
  /** Lets go of tunnels, link, socket and folder for the next supervisor. */
  handOver(): Promise<void>;
  /** What no longer moves; null while all does. */
  stalled(): string | null;
  /** One line for the service manager. */
  statusLine(): string;
}

/** Starts everything. A fault ends the program: `CONFIG_INVALID` with 78, `STORE_FAILED` with 73. */
export const assemble = async (
  { config, policyTexts, warnings }: LoadedConfig,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Result<Running>> => {
  const clock = systemClock;
  const nowS = (): number => Math.floor(clock.wall() / 1000);
  const state = await openState(config, nowS, env);
  if (!state.ok) return state;
  const {
    dir,
    runDir,
    keys,
    vault,
    journal,
    runtime,
    document,
    revFloor,
    keySet,
    continuity,
    recovered,
    flush,
    isDurable,
  } = state.value;
  const port = asVaultPort(vault);

  const log = createLogger({
    level: config.log.level,
    secrets: () => {
      const { a, b } = port.get();
      return [a, b].flatMap((slot) => (slot === null ? [] : [slot.authtoken]));
    },
  });
  for (const warning of warnings) log.warn({}, warning);
  const core = coreWarning();
  if (core !== null) log.warn({}, core);
  if (recovered.length > 0) log.warn({ stores: recovered }, 'damaged state files were set aside');

  const release = async (f: Fault): Promise<Result<never>> => {
    await dir.release();
    return failed(f);
  };
  const trust = await openTrustKeeper(config, env, keySet);
  if (!trust.ok) return release(trust.fault);
  const fileEndpoints = [];
  for (const endpoint of config.endpoints) {
    const spec = endpointFromConfig(endpoint);
    if (!spec.ok) return release(spec.fault);
    fileEndpoints.push(spec.value);
  }

  const extraConditions = (): readonly ConditionNow[] => [
    ...ownConditions({
      diskFault: disk.fault(),
      isVaultSealed: vault.isSealedAway(),
      tokenFileProblem: tokenFile.problem(),
      tokenFileRefusal: tokenFile.refusal(),
      recovered,
    }),
    ...checks.conditions(),
    ...shown.conditions(),
  ];
  const shown = await createObservability({
    config,
    env,
    clock,
    log,
    daemon: () => daemon,
    upstreams: () => checks.found(),
  });
  const checks = createUpstreamChecks({
    clock,
    dial: dialForCheck(clock),
    endpoints: () =>
      daemon.wantedBinds().map(({ name, upstream }) => ({
        endpoint: name,
        target: upstream,
        check: Object.hasOwn(config.upstreams, upstream.ref)
          ? (config.upstreams[upstream.ref]?.check ?? null)
          : null,
      })),
    changed: () => daemon.changed(),
  });

  const disk = createDiskWatch({
    dir,
    path: config.stateDir,
    isDurable,
    flush,
    degraded: (f) => daemon.storeDegraded(f),
    changed: () => daemon.changed(),
  });
  const tokenFile = createTokenFile({
    path: config.ngrok.authtokenFile,
    env,
    log,
    vault,
    staged: () => daemon.seedStaged(),
    changed: () => daemon.changed(),
  });

  const identity = await createDeviceIdentity(config.device.id, keys);
  const daemon: Daemon = createDaemon({
    clock,
    log,
    version: VERSION,
    ngrokVersion: NGROK_VERSION,
    boot: newBootNonce(),
    tenant: config.device.tenant,
    device: config.device.id,
    drainMs: config.drain.deadlineS * 1000,
    swapDeadlineMs: config.swap.deadlineS * 1000,
    defaultLeaseS: config.lease.defaultS,
    healthS: config.report.healthS,
    connEvents: config.report.connEvents,
    outboxFile: await openOutboxFile(config.stateDir),
    trustMode: config.trust.mode,
    deviceClock: createDeviceClock({
      clock,
      buildS: BUILT_AFTER_S,
      isSynchronised: () => existsSync(SYNCHRONISED),
    }),
    tunnels: createTunnels({
      runDir,
      clock,
      log: (level, fields, message) => log[level](fields, message),
      serverAddr: config.ngrok.serverAddr,
      caFile: config.ngrok.caFile,
      region: config.ngrok.region === 'auto' ? '' : config.ngrok.region,
      metadata:
        config.ngrok.metadata === '' ? JSON.stringify({ device: config.device.id }) : config.ngrok.metadata,
      clientVersion: VERSION,
      noDelay: config.ngrok.noDelay,
      tellConnections: config.report.connEvents === 'full',
      heartbeatIntervalS: config.ngrok.heartbeatIntervalS,
      heartbeatToleranceS: config.ngrok.heartbeatToleranceS,
      graceS: config.handover.graceS,
      execPath: process.execPath,
      processEntry: defaultProcessEntry(),
    }),
    probe: probeEdge(config.ngrok.serverAddr),
    vault: port,
    journal,
    runtime,
    document,
    revFloor,
    continuity,
    identity,
    keyLevel: keys.level,
    fileEndpoints,
    documentEndpoint: (endpoint) => endpointFromDocument(endpoint, config),
    resolve: (spec) => bindFromSpec(spec, config, policyTexts),
    windowState: (spec) => windowState(spec, clock.wall()),
    trust: trust.value.policy,
    replaceKeys: trust.value.replace,
    unseal: (sealed, expected, at) => unsealToken(sealed, keys.openers(at), expected),
    createLink: (handlers, spreadS) =>
      createLink({
        config: config.mqtt,
        clientId: config.device.id,
        clock,
        log,
        handlers,
        spreadS,
        protoMemory: {
          get: (url) => runtime.get().proto[url] ?? null,
          set: (url, memory) => void runtime.update({ proto: { ...runtime.get().proto, [url]: memory } }),
        },
      }),
    machine: () => machineFigures(config.stateDir),
    recovered,
    extraConditions,
  });

  await tokenFile.read();

  const lockPath = config.lockFile === '' ? join(config.stateDir, 'lock') : config.lockFile;
  const unusable = await checkLockFile(lockPath);
  if (unusable !== null) return release(unusable);
  const lockFile = createLockFile(lockPath);
  daemon.setLocked(await lockFile.isLocked());

  const control = await startControlServer(config.socket, {
    ...shown.observed,
    lock: async () => {
      const done = await lockFile.lock();
      daemon.setLocked(await lockFile.isLocked());
      return done;
    },
    unlock: async () => {
      const done = await lockFile.unlock();
      daemon.setLocked(await lockFile.isLocked());
      return done;
    },
  });
  if (!control.ok) return release(control.fault);

  let addresses = addressesNow();
  const stopLooking = [
    every(clock, async () => {
      daemon.setLocked(await lockFile.isLocked());
      const now = addressesNow();
      if (now !== addresses) {
        addresses = now;
        daemon.networkChanged();
      }
      await tokenFile.look();
    }),
    every(clock, disk.look, DISK_LOOK_MS),
  ];

  await daemon.start();
  const diskFault = disk.fault();
  if (diskFault !== null) daemon.storeDegraded(diskFault);
  stopLooking.push(checks.start());
  await shown.start();
  log.info(
    { version: VERSION, device: config.device.id, fingerprint: identity.fingerprint() },
    'lockkeeperd started',
  );

  const endLooking = async (): Promise<void> => {
    for (const stop of stopLooking) stop();
    await shown.stop();
    await control.value.close();
  };
  return ok({
    log,
    stalled: () => daemon.stalled(),
    statusLine: () => statusLine(daemon.snapshot()),
    stop: async () => {
      await daemon.stop();
      await endLooking();
      await dir.release();
    },
    handOver: async () => {
      await daemon.handOver();
      await endLooking();
      await dir.release();
    },
  });
};
