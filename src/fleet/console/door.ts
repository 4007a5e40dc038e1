/** Who may use the console: the token that the command line printed, typed once, for a cookie that no script can read. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';

const COOKIE = 'lockkeeper_console';
const SESSION_S = 12 * 3600;
const MOST_WRONG = 10;
const WRONG_WINDOW_MS = 60_000;
/** Without letters that look like digits. */
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';
const LETTERS_PER_GROUP = 4;
const GROUPS = 4;

/** A token that a person can type: about 79 bits. */
export const newConsoleToken = (): string =>
  Array.from({ length: GROUPS }, () =>
    Array.from({ length: LETTERS_PER_GROUP }, () => {
      // 248 is the largest multiple of 31 in a byte: every letter is as likely as the others.
      let byte = 255;
      while (byte >= 248) byte = randomBytes(1)[0] ?? 255;
      return LETTERS[byte % LETTERS.length] ?? 'a';
    }).join(''),
  ).join('-');

const isSame = (a: string, b: string): boolean => {
  const digest = (text: string): Buffer => createHmac('sha256', 'compare').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
};

export interface ConsoleDoor {
  isIn(cookieHeader: string | undefined): boolean;
  /** The `Set-Cookie` for the right token. */
  signIn(typed: string): { readonly cookie: string } | 'wrong' | 'wait';
  /** The `Set-Cookie` that ends the session in the browser; the session itself ends, too. */
  signOut(cookieHeader: string | undefined): string;
}

const cookieOf = (header: string | undefined): string =>
  new RegExp(`(?:^|;\\s*)${COOKIE}=([\\w-]{43})(?:;|$)`).exec(header ?? '')?.[1] ?? '';

/** Sessions live in memory: they end with the console. */
export const createConsoleDoor = (token: string, clock: Clock): ConsoleDoor => {
  const sessions = new Map<string, number>();
  let wrong: readonly number[] = [];
  const attributes = 'HttpOnly; SameSite=Strict; Path=/';
  return {
    isIn(header) {
      const id = cookieOf(header);
      return (sessions.get(id) ?? 0) > clock.now();
    },
    signIn(typed) {
      wrong = wrong.filter((at) => clock.now() - at < WRONG_WINDOW_MS);
      if (wrong.length >= MOST_WRONG) return 'wait';
      if (!isSame(token, typed.trim().toLowerCase())) {
        wrong = [...wrong, clock.now()];
        return 'wrong';
      }
      const id = randomBytes(32).toString('base64url');
      sessions.set(id, clock.now() + SESSION_S * 1000);
      return { cookie: `${COOKIE}=${id}; ${attributes}; Max-Age=${SESSION_S}` };
    },
    signOut(header) {
      sessions.delete(cookieOf(header));
      return `${COOKIE}=; ${attributes}; Max-Age=0`;
    },
  };
};

/** True for the address listened on and for `localhost`, each with the port: other names may be a trick of some web site. */
export const isOwnHost = (header: string | undefined, port: number, listenHost: string): boolean => {
  const own = listenHost.includes(':') ? `[${listenHost}]` : listenHost;
  return [`${own}:${port}`, `localhost:${port}`].includes((header ?? '').toLowerCase());
};

/** A request that changes something must come from the console's own page. */
export const isOwnOrigin = (origin: string | undefined, host: string | undefined): boolean =>
  origin !== undefined && host !== undefined && origin.toLowerCase() === `http://${host.toLowerCase()}`;
