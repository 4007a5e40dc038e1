import type { Refusal } from '../contract.ts';

/** What an agent tells about itself at Auth, as far as it can be refused for it. */
export interface AgentVersion {
  readonly version: string;
  readonly clientType: string;
  readonly userAgent: string;
}

/** Behaviour of the edge that tests and the control door may change while it runs. */
export interface EdgeSettings {
  /**
   * Connections that reach an endpoint earlier than this after its agent has read the answer to its bind are held until
   * then. 0 lets them through as soon as the answer is written, which shows a race of the SDK: it drops connections
   * that come before it has stored the endpoint.
   */
  routeDelayMs: number;
  /** How long the endpoints of a lost session stay reserved for the holder of their token. */
  graceMs: number;
  /** Most streams of one session; the SDK dies at 512. Further ones queue. */
  streamCap: number;
  /** How long the slot of an ended stream may stay in use at the agent, which does not tell. */
  slotCoolMs: number;
  /** Most streams of one session together with ended ones whose slots may still be in use. */
  slotCap: number;
  /** Most connections that wait for a stream of one session; further ones are refused. */
  streamQueue: number;
  /** Most streams of an endpoint whose agent has never accepted one; the SDK jams at 64. */
  untakenCap: number;
  /** How long a connection waits for a free stream, or for the agent to accept its first one. */
  streamWaitMs: number;
  /** Sends a frame without effect when a read caused no other, so that the agent's small writes need not wait 40 ms. */
  noOpAck: boolean;
  /** Cuts sessions whose heartbeats stay away for the interval and tolerance that the agent named at Auth. */
  enforceHeartbeat: boolean;
  /** Most endpoints of one session, or null. */
  endpointsPerSession: number | null;
  /** URLs carry the front end's port when it is not the scheme's own. */
  urlPort: boolean;
  /** A connection without Auth is cut after this. */
  authDeadlineMs: number;
  /** A command without answer has failed after this. */
  commandDeadlineMs: number;
  /** The Auth answer leaves this much later than the echo of the first heartbeat, as the SDK's users expect. */
  authAfterBeatMs: number;
  /** Refuses agents by their version (120, 121); null accepts all. */
  refuseAgent: ((agent: AgentVersion) => Refusal | null) | null;
}

export const DEFAULT_SETTINGS: Readonly<EdgeSettings> = {
  routeDelayMs: 50,
  graceMs: 0,
  streamCap: 400,
  slotCoolMs: 100,
  slotCap: 490,
  streamQueue: 2_000,
  untakenCap: 60,
  streamWaitMs: 10_000,
  noOpAck: true,
  enforceHeartbeat: true,
  endpointsPerSession: null,
  urlPort: true,
  authDeadlineMs: 30_000,
  commandDeadlineMs: 10_000,
  authAfterBeatMs: 2,
  refuseAgent: null,
};
