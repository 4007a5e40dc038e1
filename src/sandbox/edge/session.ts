import type { Credential, EdgeSession } from '../contract.ts';
import type { AuthRequest } from './auth-request.ts';
import { sendCommand, sendStopTunnel } from './commands.ts';
import type { EdgeContext } from './context.ts';
import { type Endpoint, EndpointGone } from './endpoint.ts';
import type { EndpointEnd } from './events.ts';
import type { Mux } from './mux.ts';
import { Slots } from './slots.ts';

export interface SessionParts {
  readonly id: string;
  readonly credential: Credential;
  readonly request: AuthRequest;
  readonly remoteAddr: string;
  readonly mux: Mux;
  readonly cut: (how: 'fin' | 'rst') => void;
}

/** One authenticated connection of an agent. */
export class Session implements EdgeSession {
  readonly id: string;
  readonly credential: Credential;
  readonly startedAtMs: number;
  readonly metadata: string;
  readonly remoteAddr: string;
  readonly os: string;
  readonly agentVersion: string;
  readonly clientInfo: string;
  readonly unsupported: EdgeSession['unsupported'];
  readonly endpoints = new Map<string, Endpoint>();
  readonly mux: Mux;
  /** Admits streams while the agent can bear more. */
  readonly slots: Slots;
  readonly cut: (how: 'fin' | 'rst') => void;
  readonly #context: EdgeContext;

  constructor(context: EdgeContext, parts: SessionParts) {
    const { settings, clock } = context;
    this.#context = context;
    this.id = parts.id;
    this.credential = parts.credential;
    this.startedAtMs = clock.wall();
    this.metadata = parts.request.metadata;
    this.remoteAddr = parts.remoteAddr;
    this.os = parts.request.os;
    this.agentVersion = parts.request.agent.version;
    this.clientInfo = parts.request.agent.userAgent;
    this.unsupported = parts.request.unsupported;
    this.mux = parts.mux;
    this.cut = parts.cut;
    this.slots = new Slots({ clock, settings, streams: () => parts.mux.size });
  }

  command(
    op: 'stop' | 'restart' | 'update',
    args: { version: string; permitMajor: boolean } = { version: '', permitMajor: false },
  ): Promise<string | null> {
    const { clock, settings } = this.#context;
    return sendCommand(this.mux, op, args, { clock, deadlineMs: settings.commandDeadlineMs });
  }

  /** Takes an endpoint off line at once and tells its agent, who will unbind what is no longer there. */
  stopEndpoint(endpoint: Endpoint, message: string, code: string | null): void {
    sendStopTunnel(this.mux, endpoint.id, message, code);
    this.close(endpoint, 'stopped');
  }

  /** Takes an endpoint off line; its open streams go on. */
  close(endpoint: Endpoint, reason: EndpointEnd): void {
    const { registry, settings, events, frontEnd } = this.#context;
    if (!this.endpoints.delete(endpoint.id)) return;
    if (reason === 'session-lost') registry.lose(endpoint, settings.graceMs);
    else registry.remove(endpoint);
    endpoint.gone();
    frontEnd().endpointGone(endpoint);
    events.emit('endpoint-closed', endpoint, reason);
  }

  /** A newer connection of the same agent has bound this endpoint again: it is no longer ours to close. */
  yieldEndpoint(endpoint: Endpoint): void {
    this.endpoints.delete(endpoint.id);
    endpoint.gone();
    this.#context.frontEnd().endpointGone(endpoint);
  }

  /** The connection is gone, and everything with it. */
  lost(): void {
    for (const endpoint of [...this.endpoints.values()]) this.close(endpoint, 'session-lost');
    this.slots.close(new EndpointGone('the session is gone'));
  }
}
