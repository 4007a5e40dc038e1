/** What the daemon is made of and what it offers. Rooms with effects (tunnels, link, vault, health) come in through ports. */
import type { Clock } from '../core/clock.ts';
import type { ConditionNow } from '../core/condition.ts';
import type { BindSpec, EndpointSpec } from '../core/endpoint.ts';
import type { Fault, Result } from '../core/errors.ts';
import type { WindowState } from '../core/window.ts';
import type { DevicePublicKey } from '../protocol/device-key.ts';
import type { HealthMessage } from '../protocol/health-schema.ts';
import type { TrustPolicy } from '../protocol/judge-context.ts';
import type { SealedToken } from '../protocol/seal.ts';
import type { ContinuityRecord } from './continuity.ts';
import type { DeviceClock } from './device-clock.ts';
import type { Keeper } from './keeper.ts';
import type { Log } from './log.ts';
import type {
  CommandJournal,
  Link,
  LinkHandlers,
  OutboxFile,
  ProbeEdge,
  Store,
  TokenVault,
  Tunnels,
} from './ports.ts';
import type { DesiredRecord, RevFloor, RuntimeRecord } from './records.ts';
import type { Snapshot } from './snapshot.ts';
import type { RecentEvent, StatusDocument } from './status.ts';

/** The device's own key pair, as the cloud knows it. */
export interface DeviceIdentity {
  publicKey(): DevicePublicKey;
  /** Of the public key, as people compare it. */
  fingerprint(): string;
  /** Takes a new pair for one who holds the old public key, and proves it to them. `sealed` is their challenge. */
  renew(sealed: string, nowS: number): Promise<Result<KeyProof>>;
}

export interface KeyProof {
  readonly kid: string;
  readonly x: string;
  readonly proof: string;
}

export interface DaemonOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  readonly ngrokVersion: string;
  readonly boot: string;
  readonly tenant: string;
  readonly device: string;
  readonly drainMs: number;
  /** How long a staged authtoken may take to prove itself. */
  readonly swapDeadlineMs: number;
  readonly defaultLeaseS: number;
  readonly healthS: number;
  /** Whether each visitor's connection is told, or only summaries, or nothing. */
  readonly connEvents: 'off' | 'summary' | 'full';
  /** Where messages wait on disk; null for memory only. */
  readonly outboxFile: OutboxFile | null;
  readonly trustMode: 'signed' | 'broker';
  readonly deviceClock: DeviceClock;
  readonly tunnels: Tunnels;
  readonly probe: ProbeEdge;
  readonly vault: TokenVault;
  readonly journal: CommandJournal;
  readonly runtime: Keeper<RuntimeRecord>;
  readonly document: Store<DesiredRecord | null>;
  /** What one supervisor leaves to the next; null to keep nothing. */
  readonly continuity: Store<ContinuityRecord | null> | null;
  readonly revFloor: Store<RevFloor>;
  readonly identity: DeviceIdentity;
  readonly keyLevel: 'host' | 'file';
  readonly fileEndpoints: readonly EndpointSpec[];
  documentEndpoint(endpoint: DesiredRecord['document']['endpoints'][number]): Result<EndpointSpec>;
  resolve(spec: EndpointSpec): Result<Omit<BindSpec, 'closesAtMs'>>;
  /** Whether one of the endpoint's weekly windows is open; undefined for one without windows. */
  windowState(spec: EndpointSpec): WindowState | undefined;
  trust(): TrustPolicy;
  replaceKeys(set: string, nowS: number): Promise<Result<{ readonly version: number }>>;
  unseal(
    sealed: string,
    expected: { readonly dev: string; readonly gen: number },
    nowS: number,
  ): Promise<Result<SealedToken>>;
  createLink(handlers: LinkHandlers, spreadS: () => number): Link;
  /** Machine figures for health. */
  machine(): Promise<HealthMessage['sys']>;
  /** Stores whose files were damaged at start; `isLost` when no copy was good. */
  readonly recovered: readonly { readonly store: string; readonly isLost: boolean }[];
  /** Conditions others keep: store, upstream checks, files. */
  extraConditions(): readonly ConditionNow[];
}

export interface Daemon {
  /** Adopts or starts tunnels from what is on disk, then connects to the broker. */
  start(): Promise<void>;
  /** Drains everything and says goodbye. Resolves when nothing runs any more. */
  stop(): Promise<void>;
  /** Ends the link and lets go of the tunnels, which go on for the next supervisor. */
  handOver(): Promise<void>;
  setLocked(locked: boolean): void;
  /** A token from the seed file was staged: it is tried as a rekey is. */
  seedStaged(): void;
  status(): StatusDocument;
  /** The last events, newest first. */
  recentEvents(): readonly RecentEvent[];
  snapshot(): Snapshot;
  /** What is to be open now, as the tunnels are told. */
  wantedBinds(): readonly BindSpec[];
  networkChanged(): void;
  /** The state folder cannot be written since now. */
  storeDegraded(f: Fault): void;
  /** A condition outside changed. */
  changed(): void;
  /** True while a session stands. */
  isReady(): boolean;
  /** What no longer moves although it should: the loop, or a process that it ought to have ended. Null: all does. */
  stalled(): string | null;
}
