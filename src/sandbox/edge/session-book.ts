import { newSecret } from './ids.ts';
import type { Session } from './session.ts';

interface KnownClient {
  readonly account: string;
  /** The newest first. Two are good: an answer with the newest may have been lost. */
  cookies: readonly string[];
}

/** Most agents remembered after their session ended. */
const MOST_REMEMBERED = 10_000;
const GOOD_COOKIES = 2;

/** The live sessions, and which agent may continue which. */
export class SessionBook {
  readonly #live = new Map<string, Session>();
  readonly #known = new Map<string, KnownClient>();

  get live(): ReadonlyMap<string, Session> {
    return this.#live;
  }

  /** True when an agent that brings this id and cookie may continue the session, live or lost. */
  mayResume(clientId: string, cookie: string, account: string): boolean {
    const known = this.#known.get(clientId);
    return known !== undefined && known.account === account && known.cookies.includes(cookie);
  }

  /** Live sessions of a credential, without the one that is being continued. */
  count(credentialId: string, except: string): number {
    let count = 0;
    for (const session of this.#live.values()) {
      if (session.credential.id === credentialId && session.id !== except) count += 1;
    }
    return count;
  }

  /** Enters a session, in place of the one it continues, and returns its fresh cookie. */
  enter(session: Session): string {
    const cookie = newSecret();
    const earlier = this.#known.get(session.id)?.cookies ?? [];
    this.#known.delete(session.id);
    this.#known.set(session.id, {
      account: session.credential.account,
      cookies: [cookie, ...earlier].slice(0, GOOD_COOKIES),
    });
    if (this.#known.size > MOST_REMEMBERED) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#live.set(session.id, session);
    return cookie;
  }

  /** Strikes a session out. False when another one has taken its place. */
  leave(session: Session): boolean {
    if (this.#live.get(session.id) !== session) return false;
    this.#live.delete(session.id);
    return true;
  }
}
