/** The device's MQTT link: one connection after the other, for ever, until told to stop. */
import type { Logger } from 'pino';
import type { MqttConfig } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { fault, LockkeeperError } from '../core/errors.ts';
import type { Link, LinkHandlers, LinkStatus } from '../daemon/ports.ts';
import { parseBrokerUrl } from './broker-url.ts';
import { type Connection, type Delivery, openConnection } from './connection.ts';
import { type Credentials, createCredentialReader } from './credentials.ts';
import { createDeniedTopics } from './denied-topics.ts';
import { refusedFilters } from './filter-hunt.ts';
import { createInbox, FLEET_BACKLOG } from './inbox.ts';
import { classifyLoss, type Failure, type FailureKind } from './link-errors.ts';
import { certificateDaysLeft, linkProblems } from './link-problems.ts';
import { MAX_PAYLOAD_BYTES } from './packet-guard.ts';
import {
  chooseProtocol,
  initialProtocol,
  type ProtocolMemory,
  type ProtocolVersion,
  protocolFailed,
  protocolWorked,
} from './protocol-choice.ts';
import { createPublishWatch } from './publish-watch.ts';
import { afterDown, afterQuiet, afterUp, INITIAL_RECONNECT } from './reconnect-policy.ts';
import { createStanding } from './standing.ts';
import { createSubscriptions, type SubscriptionRun } from './subscriptions.ts';

/** Files, and what is due on the standing link, are looked at again at this pace. */
const TICK_MS = 30_000;
/** Messages wait for what `up` publishes first, but not for ever. */
const LONGEST_HOLD_MS = 10_000;
const OVERSIZE_WINDOW_MS = 600_000;
const MOST_OVERSIZE = 3;
/** A broker that keeps closing before it greets may choke on what it stored of our session. */
const MOST_EARLY_CLOSES = 3;

/** Ends of a connection that may be the answer to a subscription or a message. */
const ANSWERING_ENDS: ReadonlySet<FailureKind> = new Set<FailureKind>(['closed', 'refused', 'auth']);

const noLink = (): LockkeeperError =>
  new LockkeeperError(fault('BROKER_NET', 'There is no connection to the broker.', true));

export interface LinkOptions {
  readonly config: MqttConfig;
  /** The device's id; also the MQTT client id. */
  readonly clientId: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn'>;
  readonly handlers: LinkHandlers;
  /** Remembers by URL which version of MQTT worked; kept over restarts by the caller. */
  readonly protoMemory: {
    get(url: string): ProtocolMemory | null;
    set(url: string, memory: ProtocolMemory): void;
  };
  /** A `client` has neither will nor session: nobody waits for it, and nothing is kept for it. Default `device`. */
  readonly role?: 'device' | 'client';
  /** Seconds over which the fleet spreads its return after the broker was gone (`report.spread_s`); 0 when not told. */
  readonly spreadS?: () => number;
}

/** The connection of the moment and what was achieved on it. */
interface Current {
  readonly connection: Connection;
  readonly protocol: ProtocolVersion;
  /** Its ordinal: the `n` of presence and will. */
  readonly n: number;
  /** Monotonic time of CONNACK; null before. */
  upAtMs: number | null;
  readonly run: SubscriptionRun;
  /** True when subscriptions stand and messages may be published. */
  isReady: boolean;
  /** Why we left, when it was our doing. */
  leaving: Failure | null;
}

/** Makes the link; `start` connects. Throws a `LockkeeperError` when the URL cannot be used. */
export const createLink = (options: LinkOptions): Link => {
  const { config, clock, log, handlers, protoMemory } = options;
  const parsed = parseBrokerUrl(config.url);
  if (!parsed.ok) throw new LockkeeperError(parsed.fault);
  const target = { ...parsed.value, ...(config.alpn === '' ? {} : { alpn: config.alpn }) };
  const reader = createCredentialReader(config);
  const denied = createDeniedTopics();
  const watch = createPublishWatch(clock);
  const subscriptions = createSubscriptions(clock, log);
  const inbox = createInbox(
    (message) => handlers.message(message),
    options.role === 'client' ? FLEET_BACKLOG : undefined,
  );

  let reconnect = INITIAL_RECONNECT;
  let protocol = initialProtocol(protoMemory.get(target.shown));
  let credentials: Credentials | null = null;
  let usedPrint = '';
  let current: Current | null = null;
  let connects = 0;
  let earlyCloses = 0;
  /** True after an end over a subscription: some brokers store the refused filter and choke on it at the next connect. */
  let isSessionSuspect = false;
  let oversizeMs: readonly number[] = [];
  /** Told once, not for each message of a flood. */
  let isLeaving = false;
  let isStopped = true;
  let cancelWait: (() => void) | null = null;
  let cancelTick: (() => void) | null = null;

  const status = (): LinkStatus => {
    const wallMs = clock.wall();
    const { state, sinceMs, failure } = standing;
    return {
      state,
      broker: target.shown,
      protocol: current !== null && current.upAtMs !== null ? current.protocol : null,
      sinceMs,
      connects,
      lastError: failure?.fault ?? null,
      refusedFilters: refusedFilters(subscriptions.hunt()),
      problems: linkProblems({
        hunt: subscriptions.hunt(),
        denied: denied.problems(clock.now()),
        credentials,
        isDuplicate: reconnect.isDuplicate,
        failure,
        awayMs: standing.awayMs(),
        wallMs,
      }),
      certificateDaysLeft: certificateDaysLeft(credentials, wallMs),
    };
  };

  const standing = createStanding(clock, status, (now) => handlers.changed(now));
  const { enter, tell } = standing;

  /** Reads the files; null when there is something to connect with. */
  const readCredentials = async (): Promise<Failure | null> => {
    const read = await reader.read();
    if (!read.ok) return { kind: 'files', fault: read.fault };
    credentials = read.value;
    return null;
  };

  const wait = (delayMs: number): void => {
    cancelWait?.();
    cancelWait = clock.after(delayMs, () => {
      cancelWait = null;
      void attempt();
    });
  };

  const failed = (why: Failure, upMs: number | null): void => {
    standing.lost(why);
    const spreadMs = (options.spreadS?.() ?? 0) * 1000;
    const next = afterDown(reconnect, { kind: why.kind, atMs: clock.now(), upMs }, spreadMs, clock.random());
    reconnect = next.state;
    enter('offline');
    log.warn(
      {
        broker: target.shown,
        code: why.fault.code,
        reason: why.fault.message,
        retryMs: Math.round(next.delayMs),
      },
      'broker connection lost',
    );
    if (!isStopped) wait(next.delayMs);
    tell();
  };

  const cameUp = async (c: Current, sessionPresent: boolean): Promise<void> => {
    c.upAtMs = clock.now();
    reconnect = afterUp(reconnect, c.upAtMs, sessionPresent);
    protocol = protocolWorked(protocol, c.protocol, clock.wall());
    if (protocol.remembered !== null) protoMemory.set(target.shown, protocol.remembered);
    if (!(await c.run.sync()) || c !== current || isStopped) return;
    standing.back();
    // Told while nothing can go out yet: the first report says that the outage is over, and no event overtakes it.
    tell();
    await Promise.resolve();
    if (c !== current || isStopped) return;
    c.isReady = true;
    isSessionSuspect = false;
    enter('connected');
    log.info(
      { broker: target.shown, protocol: c.protocol, connect: c.n, sessionPresent },
      'broker connected',
    );
    const release = (): void => {
      if (c === current) inbox.hold(false);
    };
    const cancel = clock.after(LONGEST_HOLD_MS, release);
    const first = handlers.up({ connect: c.n, protocol: c.protocol, sessionPresent });
    tell();
    try {
      await first;
    } catch (error) {
      // The link went down again meanwhile; the next connect calls `up` anew.
      log.debug({ err: error }, 'first publishes failed');
    }
    cancel();
    release();
  };

  const deliver = (c: Current, delivery: Delivery): Promise<void> | null => {
    let message = delivery;
    if (delivery.payload.length > MAX_PAYLOAD_BYTES) {
      const now = clock.now();
      oversizeMs = [...oversizeMs.filter((t) => now - t < OVERSIZE_WINDOW_MS), now];
      log.warn({ topic: delivery.topic }, 'oversized message dropped');
      if (oversizeMs.length >= MOST_OVERSIZE) {
        oversizeMs = [];
        message = { ...delivery, ack: () => leaveFlood(c, delivery) };
      }
    }
    const isTaken = inbox.push(message);
    if (!isTaken && !isLeaving)
      log.warn({ topic: delivery.topic }, 'messages left with the broker: backlog full');
    isLeaving = !isTaken;
    return inbox.room();
  };

  const leaveFlood = (c: Current, last: Delivery): void => {
    last.ack();
    if (c !== current) return;
    c.leaving = {
      kind: 'flood',
      fault: fault('BROKER_FLOOD', 'Oversized messages keep coming; the link rests for a minute.', true),
    };
    void c.connection.end();
  };

  const sessionKind = (): 'resume' | 'fresh' | 'none' => {
    if (options.role === 'client') return 'none';
    return isSessionSuspect || earlyCloses >= MOST_EARLY_CLOSES ? 'fresh' : 'resume';
  };

  const attempt = async (): Promise<void> => {
    if (isStopped || current !== null) return;
    enter('connecting');
    tell();
    const bad = await readCredentials();
    if (isStopped || current !== null) return;
    if (bad !== null || credentials === null) {
      if (bad !== null) failed(bad, null);
      return;
    }
    const used = credentials;
    usedPrint = used.print;
    const version = chooseProtocol(protocol, config.protocol, clock.wall());
    const n = connects + 1;
    const connection = openConnection(
      {
        target,
        credentials: used,
        username: config.username,
        clientId: options.clientId,
        protocol: version,
        keepAliveS: config.keepAliveS,
        will: options.role === 'client' ? null : handlers.will(n),
        session: sessionKind(),
      },
      {
        open: () => {
          connects = n;
        },
        connack: ({ sessionPresent }) => {
          void cameUp(c, sessionPresent);
        },
        delivery: (delivery) => deliver(c, delivery),
        closed: (loss) => {
          const seen = { ...loss, broker: target.shown, wallMs: clock.wall(), certificate: used.validity };
          const why = c.leaving ?? classifyLoss(seen);
          // Ended over a subscription or a message: neither a take-over nor a broker that goes.
          const isAnswer = c.leaving === null && !isStopped && ANSWERING_ENDS.has(why.kind);
          const isOverFilter = isAnswer && c.run.isBusy();
          const isOverMessage = isAnswer && !isOverFilter && watch.isBusy();
          c.run.ended(isOverFilter);
          const guilty = watch.ended(isOverMessage);
          if (guilty !== null) {
            denied.add(guilty, clock.now(), 'close');
            log.warn({ topic: guilty }, 'connection ended on a message');
          }
          current = null;
          inbox.hold(true);
          inbox.clear();
          if (isStopped) return;
          isSessionSuspect ||= isOverFilter;
          earlyCloses = why.kind === 'closed-early' ? earlyCloses + 1 : 0;
          if (c.upAtMs === null) protocol = protocolFailed(protocol, version, why.kind);
          const upMs = c.upAtMs === null ? null : clock.now() - c.upAtMs;
          failed(isOverFilter || isOverMessage ? { ...why, kind: 'refused' } : why, upMs);
        },
      },
    );
    const c: Current = {
      connection,
      protocol: version,
      n,
      upAtMs: null,
      run: subscriptions.open(connection),
      isReady: false,
      leaving: null,
    };
    current = c;
  };

  const tick = async (): Promise<void> => {
    const bad = await readCredentials();
    if (isStopped) return;
    if (bad === null && cancelWait !== null && credentials?.print !== usedPrint) wait(0);
    const c = current;
    if (c !== null && c.upAtMs !== null) {
      reconnect = afterQuiet(reconnect, clock.now() - c.upAtMs);
      if (c.isReady) await c.run.retry();
    }
    if (isStopped) return;
    tell();
    cancelTick = clock.after(TICK_MS, () => void tick());
  };

  return {
    start() {
      if (!isStopped) return;
      isStopped = false;
      standing.wanted();
      cancelTick = clock.after(TICK_MS, () => void tick());
      void attempt();
    },
    status,
    subscribe(filters) {
      subscriptions.want(filters);
      if (current !== null && current.upAtMs !== null) void current.run.sync().then(tell);
    },
    async refresh(filter) {
      const c = current;
      if (c === null || !c.isReady || !(await c.run.refresh(filter))) throw noLink();
    },
    async publish(message) {
      const c = current;
      if (c === null || !c.isReady) throw noLink();
      const refusal = denied.refusal(message.topic, clock.now());
      if (refusal !== null) throw new LockkeeperError(refusal);
      const leave = await watch.enter(message.topic);
      let isTaken = false;
      try {
        if (c !== current) throw noLink();
        await c.connection.publish(message);
        isTaken = true;
      } catch (error) {
        if (error instanceof LockkeeperError && error.fault.code === 'BROKER_PUBLISH_DENIED') {
          denied.add(message.topic, clock.now(), 'answer');
          log.warn({ topic: message.topic }, 'publish denied by the broker');
          tell();
        }
        throw error;
      } finally {
        if (isTaken && message.qos === 0) watch.leaveLater(leave);
        else leave(isTaken);
      }
    },
    async stop() {
      isStopped = true;
      standing.unwanted();
      cancelWait?.();
      cancelTick?.();
      cancelWait = null;
      await current?.connection.end();
      enter('offline');
      tell();
    },
  };
};
