/** Who may see page and metrics: the token as Bearer, or once in a form for a cookie that says so. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';

const COOKIE = 'lockkeeper';
/** How long a technician stays signed in. */
const SESSION_S = 12 * 3600;
/** Wrong tokens in a minute, over all visitors, before every try waits for the next one. */
const MAX_WRONG = 10;
const WRONG_WINDOW_MS = 60_000;

const sign = (token: string, text: string): string =>
  createHmac('sha256', token).update(`lockkeeper page ${text}`).digest('base64url');

const isSame = (a: string, b: string): boolean => {
  const digest = (text: string): Buffer => createHmac('sha256', 'compare').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
};

export interface PageAuth {
  /** `Authorization` and `Cookie` of a request, against the token as it is now; null refuses everybody. */
  isAllowed(
    token: string | null,
    headers: { readonly authorization?: string | undefined; readonly cookie?: string | undefined },
  ): boolean;
  /** The `Set-Cookie` for a typed token; `wrong` for another one, `wait` after too many of those. */
  signIn(token: string | null, typed: string): { readonly cookie: string } | 'wrong' | 'wait';
  /** The `Set-Cookie` that ends it. */
  readonly signOut: string;
}

/**
 * The cookie holds its end and a signature with the token as key: it survives a restart, is worth nothing once the
 * token changes, and does not hold the token.
 */
export const createPageAuth = (clock: Clock): PageAuth => {
  let wrong: readonly number[] = [];

  const isWaiting = (): boolean => {
    wrong = wrong.filter((at) => clock.now() - at < WRONG_WINDOW_MS);
    return wrong.length >= MAX_WRONG;
  };
  const matches = (token: string, given: string): boolean => {
    if (isSame(token, given)) return true;
    wrong = [...wrong, clock.now()].slice(-MAX_WRONG);
    return false;
  };
  const isCookieGood = (token: string, header: string): boolean => {
    const [, endsAt = '', signature = ''] =
      new RegExp(`(?:^|;\\s*)${COOKIE}=(\\d{1,12})\\.([\\w-]+)(?:;|$)`).exec(header) ?? [];
    return Number(endsAt) * 1000 > clock.wall() && isSame(sign(token, endsAt), signature);
  };

  return {
    isAllowed: (token, { authorization, cookie }) => {
      if (token === null) return false;
      if (cookie !== undefined && isCookieGood(token, cookie)) return true;
      const [, bearer] = /^Bearer +([^\s]+)$/i.exec(authorization ?? '') ?? [];
      return bearer !== undefined && isSame(token, bearer);
    },
    signIn: (token, typed) => {
      if (isWaiting()) return 'wait';
      if (token === null || !matches(token, typed)) return 'wrong';
      const endsAt = String(Math.floor(clock.wall() / 1000) + SESSION_S);
      return {
        cookie: `${COOKIE}=${endsAt}.${sign(token, endsAt)}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${SESSION_S}`,
      };
    },
    signOut: `${COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0`,
  };
};
