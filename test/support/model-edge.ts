/** The edge of the working model: who may have a session, who may bind what, and to whom visitors are routed. */
import type { BindSpec } from '../../src/core/endpoint.ts';
import type { ModelTime } from './model-time.ts';

/**
 * `closed`: the port refuses, and every connection is reset. `frozen`: nothing is read or written, all goes on when it
 * thaws. `dead`: the path swallows everything; the edge gives sessions up. `middlebox`: as `dead`, but something on the
 * way completes TCP.
 */
export type EdgeMode = 'up' | 'closed' | 'frozen' | 'dead' | 'middlebox';

export interface TokenRule {
  valid: boolean;
  /** Endpoints that this token may bind; null for all. */
  acl: ReadonlySet<string> | null;
  /** Answers every connect with this code instead of a session. */
  answer: string | null;
}

export interface EdgeSession {
  readonly token: string;
  readonly tunnel: string;
  readonly endpoints: Map<string, { readonly url: string; readonly pooled: boolean }>;
  isOpen: boolean;
  /** The edge closed it while the path was dead: the agent learns of it once the path is back. */
  isForgotten: boolean;
  /** Called when the connection under the session is cut. */
  onCut: (() => void) | null;
}

/** After so long without a beat the edge gives a session up. */
const TOLERANCE_MS = 25_000;

export class ModelEdge {
  readonly tokens = new Map<string, TokenRule>();
  readonly sessions = new Set<EdgeSession>();
  readonly #time: ModelTime;
  readonly #watchers = new Set<(mode: EdgeMode) => void>();
  mode: EdgeMode = 'up';
  /** Sessions that the account allows at once. */
  limit = Number.POSITIVE_INFINITY;
  /** Endpoints that the account allows at once, over all its sessions. */
  endpointLimit = Number.POSITIVE_INFINITY;
  /** Milliseconds from handshake to answer. */
  authMs = 0;
  /** Sessions asked for so far, by token, with the time. */
  readonly asked: { readonly token: string; readonly at: number; readonly answer: string }[] = [];

  constructor(time: ModelTime) {
    this.#time = time;
  }

  token(name: string): TokenRule {
    let rule = this.tokens.get(name);
    if (rule === undefined) {
      rule = { valid: true, acl: null, answer: null };
      this.tokens.set(name, rule);
    }
    return rule;
  }

  setMode(mode: EdgeMode): void {
    if (mode === this.mode) return;
    this.mode = mode;
    if (mode === 'closed') this.cutAll();
    if (mode === 'dead' || mode === 'middlebox')
      for (const s of this.sessions)
        this.#time.after(TOLERANCE_MS, () => {
          if (!s.isOpen || this.mode === 'up' || this.mode === 'frozen') return;
          this.#close(s);
          s.isForgotten = true;
        });
    for (const watcher of this.#watchers) watcher(mode);
  }

  /** Hears of every change of mode until the returned function is called. */
  onMode(watcher: (mode: EdgeMode) => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  cutAll(): void {
    for (const s of [...this.sessions]) this.cut(s);
  }

  /** Cuts one session; its agent, if there is one, learns of it at once. */
  cut(s: EdgeSession): void {
    this.#close(s);
    s.onCut?.();
  }

  revoke(token: string): void {
    this.token(token).valid = false;
    for (const s of [...this.sessions]) if (s.token === token) this.cut(s);
  }

  /** What the edge says to a connect that reached it: a session, or a code. */
  open(token: string, tunnel: string): EdgeSession | string {
    const answer = this.#judge(token);
    this.asked.push({ token, at: this.#time.now(), answer });
    if (answer !== '') return answer;
    const session: EdgeSession = {
      token,
      tunnel,
      endpoints: new Map(),
      isOpen: true,
      isForgotten: false,
      onCut: null,
    };
    this.sessions.add(session);
    return session;
  }

  #judge(token: string): string {
    const rule = this.token(token);
    if (!rule.valid) return 'ERR_NGROK_107';
    if (rule.answer !== null) return rule.answer;
    return this.sessions.size >= this.limit ? 'ERR_NGROK_108' : '';
  }

  /** The code that refuses a bind, or an empty string when it stands. */
  bind(session: EdgeSession, spec: BindSpec): string {
    const rule = this.token(session.token);
    if (rule.acl !== null && !rule.acl.has(spec.name)) return 'ERR_NGROK_308';
    const holders = [...this.sessions].flatMap((s) => s.endpoints.get(spec.name) ?? []);
    const isTaken = holders.some((h) => h.url === spec.url && !(h.pooled && spec.pooling));
    if (isTaken) return 'ERR_NGROK_334';
    const open = [...this.sessions].reduce((sum, s) => sum + s.endpoints.size, 0);
    if (open >= this.endpointLimit) return 'ERR_NGROK_350';
    session.endpoints.set(spec.name, { url: spec.url, pooled: spec.pooling });
    return '';
  }

  /** The agent's process is gone: its connection closes, or on a dead path lingers until the edge gives it up. */
  left(session: EdgeSession): void {
    session.onCut = null;
    if (this.mode === 'up' || this.mode === 'closed') this.#close(session);
    else this.#time.after(TOLERANCE_MS, () => this.#close(session));
  }

  /** The device lost power: nobody says goodbye. */
  vanished(session: EdgeSession): void {
    session.onCut = null;
    this.#time.after(TOLERANCE_MS, () => this.#close(session));
  }

  #close(session: EdgeSession): void {
    session.isOpen = false;
    session.endpoints.clear();
    this.sessions.delete(session);
  }
}
