import { connect, type Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import type { TunnelEvent, TunnelId } from '../core/tunnel-event.ts';
import type { AdoptedTunnel, TunnelStart, Tunnels } from '../daemon/ports.ts';
import type { Snapshot, StartConfig } from './messages.ts';
import { isAlive, isOurProcess, readLastWords, readPid, removeFiles, tunnelsIn } from './process-files.ts';
import { type Answer, ProcessHandle } from './process-handle.ts';
import { doorPath } from './run-dir.ts';
import { scrub } from './scrub.ts';
import { spawnProcess } from './spawn-process.ts';

export { checkRunDir } from './run-dir.ts';
export { defaultProcessEntry } from './spawn-process.ts';

const ADOPT_DEADLINE_MS = 2_000;
const EXIT_POLL_MS = 200;
/** After a process has ended, its channel has so long to hand over its last events. */
const LAST_EVENTS_MS = 1_000;
const RELEASE_DEADLINE_MS = 1_000;

export interface TunnelsOptions {
  /** Folder for sockets and last words; `checkRunDir` makes it. */
  readonly runDir: string;
  readonly clock: Clock;
  /** Gets what the SDK logs at WARN and above, scrubbed. */
  readonly log: (
    level: 'warn' | 'error',
    fields: { readonly tunnel: TunnelId; readonly target: string },
    message: string,
  ) => void;
  readonly serverAddr: string;
  readonly caFile: string;
  readonly region: string;
  readonly metadata: string;
  /** Version that the edge is told. */
  readonly clientVersion: string;
  readonly noDelay: boolean;
  /** Whether processes tell of single connections; those that run already go on as they were started. */
  readonly tellConnections?: boolean;
  readonly heartbeatIntervalS: number;
  readonly heartbeatToleranceS: number;
  readonly graceS: number;
  readonly execPath: string;
  readonly processEntry: string;
}

interface Held {
  readonly handle: ProcessHandle;
  /** Known for processes that we started. */
  readonly authtoken: string;
  readonly channelClosed: Promise<void>;
}

/** Makes the supervisor's side of the tunnel processes. */
export const createTunnels = (options: TunnelsOptions): Tunnels => {
  const { clock, runDir } = options;
  const held = new Map<TunnelId, Held>();
  let listeners: readonly ((event: TunnelEvent) => void)[] = [];
  let isReleased = false;

  const emit = (event: TunnelEvent): void => {
    if (isReleased) return;
    for (const listener of listeners) listener(event);
  };
  const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));

  /** The one end of every process: last words read, files removed, `exited`. */
  const ended = async (tunnel: TunnelId, code: number | null, signal: string | null): Promise<void> => {
    const entry = held.get(tunnel);
    if (entry === undefined) return;
    await Promise.race([entry.channelClosed, pause(LAST_EVENTS_MS)]);
    if (held.get(tunnel) !== entry) return;
    held.delete(tunnel);
    entry.handle.stop();
    const stderr = scrub(await readLastWords(runDir, tunnel), [entry.authtoken]);
    await removeFiles(runDir, tunnel);
    emit({ tunnel, type: 'exited', code, signal, stderr });
  };

  const hold = (
    tunnel: TunnelId,
    pid: number,
    channel: Socket,
    authtoken: string,
    signal: (signal: 'SIGTERM' | 'SIGKILL') => void,
    emitEvent: (event: TunnelEvent) => void,
  ): Held => {
    let closed = (): void => undefined;
    const channelClosed = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const handle = new ProcessHandle({
      tunnel,
      pid,
      clock,
      channel,
      signal,
      emit: emitEvent,
      log: (level, target, message) => options.log(level, { tunnel, target }, scrub(message, [authtoken])),
      onReplaced: () => held.delete(tunnel),
      onChannelClosed: closed,
    });
    const entry = { handle, authtoken, channelClosed };
    held.set(tunnel, entry);
    return entry;
  };

  const configOf = (start: TunnelStart): StartConfig => ({
    ...start,
    serverAddr: options.serverAddr,
    caFile: options.caFile,
    region: options.region,
    metadata: options.metadata,
    clientVersion: options.clientVersion,
    heartbeatIntervalS: options.heartbeatIntervalS,
    heartbeatToleranceS: options.heartbeatToleranceS,
    noDelay: options.noDelay,
    tellConnections: options.tellConnections === true,
    graceMs: options.graceS * 1_000,
  });

  const start = (request: TunnelStart): void => {
    const { tunnel } = request;
    const neverStarted = (why: string): void => {
      setImmediate(() => emit({ tunnel, type: 'exited', code: null, signal: null, stderr: why }));
    };
    let spawned: ReturnType<typeof spawnProcess>;
    try {
      spawned = spawnProcess({ ...options, tunnel });
    } catch (error) {
      neverStarted(`could not be started: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`);
      return;
    }
    const { child, channel } = spawned;
    const { pid } = child;
    // A supervisor that let go of its tunnels may end while they run.
    child.unref();
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (pid === undefined) neverStarted(`could not be started: ${error.code ?? 'unknown error'}`);
    });
    if (pid === undefined) {
      channel.on('error', () => undefined).destroy();
      return;
    }
    const { handle } = hold(tunnel, pid, channel, request.authtoken, (signal) => child.kill(signal), emit);
    child.once('exit', (code, signal) => void ended(tunnel, code, signal));
    setImmediate(() => emit({ tunnel, type: 'started', pid }));
    handle.start({ type: 'start', config: configOf(request) });
  };

  /** An adopted process is nobody's child here: its end is seen by its channel, and by looking. */
  const watchAdopted = async (entry: Held, isOurs: () => Promise<boolean>): Promise<void> => {
    await entry.channelClosed;
    const { tunnel, pid } = entry.handle;
    while (held.get(tunnel) === entry && (await isAlive(pid)) && (await isOurs())) await pause(EXIT_POLL_MS);
    if (held.get(tunnel) === entry) await ended(tunnel, null, null);
  };

  const adoptOne = async (tunnel: TunnelId, later: TunnelEvent[]): Promise<AdoptedTunnel | null> => {
    const pid = await readPid(runDir, tunnel);
    const isOurs = (): Promise<boolean> =>
      pid === null ? Promise.resolve(false) : isOurProcess(runDir, tunnel, pid, options.processEntry);
    if (pid !== null && (await isOurs())) {
      const snapshot = await askForSnapshot(tunnel, pid, isOurs, later);
      if (snapshot !== null) return snapshot;
      if (await isOurs()) process.kill(pid, 'SIGKILL');
      while ((await isAlive(pid)) && (await isOurs())) await pause(EXIT_POLL_MS);
    }
    await removeFiles(runDir, tunnel);
    return null;
  };

  const askForSnapshot = async (
    tunnel: TunnelId,
    pid: number,
    isOurs: () => Promise<boolean>,
    later: TunnelEvent[],
  ): Promise<Snapshot | null> => {
    const channel = connect(doorPath(runDir, tunnel));
    let isAdopting = true;
    const signal = (name: 'SIGTERM' | 'SIGKILL'): void => {
      void isOurs().then((ours) => {
        if (!ours) return;
        try {
          process.kill(pid, name);
        } catch {
          // It has just ended.
        }
      });
    };
    const entry = hold(tunnel, pid, channel, '', signal, (event) => {
      if (isAdopting) later.push(event);
      else emit(event);
    });
    const answer = await new Promise<Answer | null>((resolve) => {
      entry.handle.request({ type: 'adopt' }, 2 * ADOPT_DEADLINE_MS, resolve);
      void entry.channelClosed.then(() => resolve(null));
      clock.after(ADOPT_DEADLINE_MS, () => resolve(null));
    });
    if (answer === null || !answer.ok || answer.snapshot === null) {
      held.delete(tunnel);
      entry.handle.release();
      channel.destroy();
      return null;
    }
    entry.handle.watch();
    void watchAdopted(entry, isOurs);
    adoptions.push(() => {
      isAdopting = false;
    });
    return answer.snapshot;
  };
  let adoptions: (() => void)[] = [];

  return {
    start,
    bind: (tunnel, spec) => held.get(tunnel)?.handle.bind({ type: 'bind', spec }),
    unbind: (tunnel, endpoint, drainMs) => held.get(tunnel)?.handle.unbind(endpoint, drainMs),
    setClosesAt: (tunnel, endpoint, closesAtMs) =>
      held.get(tunnel)?.handle.request({ type: 'closes-at', endpoint, closesAtMs }),
    drain: (tunnel, deadlineMs) => held.get(tunnel)?.handle.drain(deadlineMs),
    kill: (tunnel) => held.get(tunnel)?.handle.kill(),
    async adopt() {
      const later: TunnelEvent[] = [];
      const ids = (await tunnelsIn(runDir)).filter((id) => !held.has(id));
      const found = await Promise.all(ids.map((id) => adoptOne(id, later)));
      // The caller learns of the processes first, then what they have to say.
      const done = adoptions;
      adoptions = [];
      setImmediate(() => {
        for (const finish of done) finish();
        for (const event of later) emit(event);
      });
      return found.filter((adopted) => adopted !== null);
    },
    async release() {
      isReleased = true;
      const all = [...held.values()];
      held.clear();
      for (const { handle } of all) handle.release();
      await Promise.race([
        Promise.all(all.map(({ channelClosed }) => channelClosed)),
        pause(RELEASE_DEADLINE_MS),
      ]);
    },
    onEvent(listener) {
      listeners = [...listeners, listener];
    },
    processes: () =>
      [...held.values()].map(({ handle: { tunnel, pid, heardAt } }) => ({
        tunnel,
        pid,
        silentMs: clock.now() - heardAt,
      })),
  };
};
