/** What the daemon needs from the rooms around it. They implement these; the daemon never imports them. */
import type { BindSpec } from '../core/endpoint.ts';
import type { Fault, Result } from '../core/errors.ts';
import type { Slot, TunnelEvent, TunnelId } from '../core/tunnel-event.ts';
import type { ResultStatus } from '../protocol/result-schema.ts';

/** How one tunnel process is to connect. `authtoken` is a secret: it travels over the process's channel only. */
export interface TunnelStart {
  readonly tunnel: TunnelId;
  readonly slot: Slot;
  readonly generation: number;
  readonly authtoken: string;
  /** Milliseconds for connect(); on expiry the process is ended. */
  readonly connectDeadlineMs: number;
}

/** A tunnel process that outlived its supervisor and was taken over. */
export interface AdoptedTunnel {
  readonly tunnel: TunnelId;
  readonly pid: number;
  readonly slot: Slot;
  readonly generation: number;
  readonly sessionId: string;
  readonly connected: boolean;
  /** Monotonic milliseconds since when the session stands; processes of older versions do not tell. */
  readonly connectedAt?: number;
  readonly endpoints: readonly {
    readonly spec: BindSpec;
    readonly url: string;
    readonly endpointId: string;
    readonly serving: boolean;
    /** Monotonic milliseconds of its bind. */
    readonly boundAt?: number;
  }[];
}

/**
 * Starts and commands tunnel processes. Every method returns at once; what comes of it arrives as a `TunnelEvent`,
 * always: a process that misses a deadline is killed and `exited` follows.
 */
export interface Tunnels {
  start(options: TunnelStart): void;
  bind(tunnel: TunnelId, spec: BindSpec): void;
  /** Takes one endpoint down: listener closed first, then streams drained up to `drainMs`, then `unbound`. */
  unbind(tunnel: TunnelId, endpoint: string, drainMs: number): void;
  /** Tells the process a new closing time for its life without a supervisor. */
  setClosesAt(tunnel: TunnelId, endpoint: string, closesAtMs: number | null): void;
  /** Closes every listener, drains up to `deadlineMs`, ends the process: `drained`, then `exited`. */
  drain(tunnel: TunnelId, deadlineMs: number): void;
  /** Ends the process without ceremony: `exited` follows. */
  kill(tunnel: TunnelId): void;
  /** Finds processes left by an earlier supervisor and takes them over; ones that do not answer are killed. */
  adopt(): Promise<readonly AdoptedTunnel[]>;
  /** Lets go of every process so that the next supervisor can adopt them. */
  release(): Promise<void>;
  onEvent(listener: (event: TunnelEvent) => void): void;
  /** The processes held now; `silentMs` since each was last heard. */
  processes(): readonly { readonly tunnel: TunnelId; readonly pid: number; readonly silentMs: number }[];
}

/**
 * Tries the edge: `tcp` is its port open, `tls` does a handshake complete. A hint that it may be back, never a proof.
 * Ends by itself within about two seconds.
 */
export type ProbeEdge = (depth: 'tcp' | 'tls') => Promise<boolean>;

export type LinkState = 'connected' | 'connecting' | 'offline';

export interface LinkStatus {
  readonly state: LinkState;
  /** URL without user info. */
  readonly broker: string;
  readonly protocol: 4 | 5 | null;
  /** Epoch milliseconds of the last change of `state`. */
  readonly sinceMs: number;
  /** Connections made since start; the `n` of presence. */
  readonly connects: number;
  /** Why there is no connection; null while there is one. */
  readonly lastError: Fault | null;
  /** Filters that the broker refused, with what it said. */
  readonly refusedFilters: readonly string[];
  /**
   * What is wrong with the link. It has been away for a while; or, although it may be up: a refused filter, a denied
   * topic, a client certificate that ends soon or does not fit its key, a second client with this id, a clock that
   * makes certificates invalid. Each stands until it is over; the code and message make a condition.
   */
  readonly problems: readonly Fault[];
  /** Whole days until the client certificate that the next connect would use ends; null without one. Negative when over. */
  readonly certificateDaysLeft: number | null;
}

export interface InboundMessage {
  readonly topic: string;
  /** At most 65,536 bytes whole; of a longer one only a beginning of more than 65,536 bytes. */
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

export interface OutboundMessage {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1;
  readonly retain?: boolean;
  /** Message expiry in seconds; used on MQTT 5 only. */
  readonly expiryS?: number;
  /** MQTT 5 correlation data and response topic of the command this answers. */
  readonly correlation?: string;
}

/** Where messages wait on disk while the broker is away. Rejects when the disk does not take it. */
export interface OutboxFile {
  /** What an earlier run left, oldest first. */
  readonly found: readonly OutboundMessage[];
  /** Size of the file when it was opened. */
  readonly bytes: number;
  /** Adds messages at the end; resolves with the bytes written. */
  append(messages: readonly OutboundMessage[]): Promise<number>;
  /** The file holds these and nothing else; resolves with its size. */
  replace(messages: readonly OutboundMessage[]): Promise<number>;
}

export interface Link {
  start(): void;
  status(): LinkStatus;
  /** The exact filters to hold; sent on every connect, and at once on change. */
  subscribe(filters: readonly string[]): void;
  /** Asks for the retained messages of one filter again. */
  refresh(filter: string): Promise<void>;
  /** Resolves when the broker has taken it (QoS 1: PUBACK); rejects with a `LockkeeperError` while there is no link. */
  publish(message: OutboundMessage): Promise<void>;
  /** Ends the connection in order, so that no will is sent. */
  stop(): Promise<void>;
}

/** What the daemon gives the link. */
export interface LinkHandlers {
  /** Called before each connect: the will for this connection. */
  will(connect: number): OutboundMessage;
  /** Called once subscriptions stand; everything that is to be published first goes out here, in order. */
  up(info: {
    readonly connect: number;
    readonly protocol: 4 | 5;
    readonly sessionPresent: boolean;
  }): Promise<void>;
  /** PUBACK goes out only after the promise resolves. Must not reject. */
  message(message: InboundMessage): Promise<void>;
  changed(status: LinkStatus): void;
}

/** One authtoken on disk. `authtoken` is a secret. */
export interface TokenSlot {
  readonly generation: number;
  readonly authtoken: string;
  /** ngrok's credential id, where the sender told it. */
  readonly credentialId: string;
  /** First 8 hex digits of SHA-256 of the authtoken: shown in reports. */
  readonly fingerprint: string;
  readonly source: 'file' | 'rekey';
  readonly state: 'candidate' | 'proved' | 'refused';
}

/** Phases of a swap as the vault remembers them over a power cut. */
export interface SwapRecord {
  readonly to: Slot;
  readonly phase: 'staged' | 'committed';
  /** Command that asked for it; empty when a changed token file did. */
  readonly commandId: string;
}

export interface VaultState {
  readonly a: TokenSlot | null;
  readonly b: TokenSlot | null;
  /** Slot in use: tried first at boot. */
  readonly current: Slot;
  readonly swap: SwapRecord | null;
  /** Digest of the seed file when it was last read, so that a change is noticed. */
  readonly seedDigest: string;
  /** The seed file's token that was tried and given up, and why; absent where there is none. */
  readonly seedRefusal?: { readonly fingerprint: string; readonly message: string };
}

/** A document kept durably in the state folder. */
export interface Store<T> {
  /** Value in memory; what `load` found, or the initial value. */
  get(): T;
  /** Durable when it resolves `ok`; on a fault memory keeps the new value only if `keepInMemory`. */
  save(value: T): Promise<Result<void>>;
  /** What had to be repaired at load, if anything. */
  readonly recovered: 'no' | 'slot' | 'lost';
}

/** A new authtoken to try: `authtoken` is a secret. */
export interface TokenCandidate {
  readonly generation: number;
  readonly authtoken: string;
  readonly credentialId: string;
  readonly source: 'file' | 'rekey';
}

/**
 * The two token slots. Every method is durable when it resolves `ok`, and a power cut inside one leaves the state before
 * or after it. The last token that worked is never given up.
 */
export interface TokenVault {
  get(): VaultState;
  /** Puts a candidate into the slot that is not current; resolves with that slot. */
  stage(candidate: TokenCandidate, commandId: string): Promise<Result<Slot>>;
  /** The staged slot becomes current; the swap stays on record as `committed`. */
  commit(): Promise<Result<void>>;
  /** Forgets the staged slot; of one from the seed file it is kept why. */
  rollback(why: Fault): Promise<Result<void>>;
  /** Ends a committed swap: nothing of the old slot runs any more. */
  finish(): Promise<Result<void>>;
  /** Makes the other slot current, outside a swap; of a token from the seed file it is kept why. */
  fallBack(to: Slot, why: Fault): Promise<Result<void>>;
  /** Notes what the edge said of a slot's token. No write when it is known already. */
  mark(slot: Slot, state: 'proved' | 'refused'): Promise<Result<void>>;
  /** The current token under a new generation: a rekey to the same token. */
  renumber(generation: number): Promise<Result<void>>;
}

/** One command as the journal keeps it: its last known step. Times are epoch seconds. */
export interface JournalEntry {
  readonly id: string;
  readonly op: string;
  readonly status: ResultStatus;
  /** Ordinal of the last result sent for it. */
  readonly n: number;
  readonly code?: string;
  readonly msg?: string;
  /** Terminal: the result's `out`. Before: what is needed to judge the command after a restart (`ep`, `gen`). */
  readonly out?: Readonly<Record<string, unknown>>;
  readonly ts: number;
  /** The command's `exp`: it is not forgotten before. */
  readonly expS: number;
  /** SHA-256 of the body; names a poison message. */
  readonly digest: string;
  /** Times it was begun; a second crash on the same digest quarantines it. */
  readonly attempts: number;
}

export interface CommandJournal {
  lookup(id: string): JournalEntry | undefined;
  /** Durable when it resolves `ok`. `QUEUE_FULL` when no entry may be forgotten yet, `STORE_FAILED` otherwise. */
  record(entry: JournalEntry): Promise<Result<void>>;
  /** Entries without terminal status, oldest first. */
  unfinished(): readonly JournalEntry[];
  /** The newest terminal entries, newest first. */
  last(count: number): readonly JournalEntry[];
}
