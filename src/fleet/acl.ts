/**
 * Authtoken ACLs: what ngrok lets a credential bind. The grammar, a matcher, and the rules that a device's endpoints
 * need. Pure. A rule speaks of names and addresses only; it knows neither source addresses nor policies.
 */
import { failed, fault, ok, type Result } from '../core/errors.ts';

type Rule =
  | { readonly kind: 'any' }
  | { readonly kind: 'name'; readonly name: string }
  /** `*.suffix` itself and every name below it, never the bare suffix. */
  | { readonly kind: 'below'; readonly suffix: string }
  | { readonly kind: 'address'; readonly host: string; readonly port: number };

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const HOST = `${LABEL}(?:\\.${LABEL})*`;
const NAME = new RegExp(`^${HOST}$`);
const BELOW = new RegExp(`^\\*\\.(${HOST})$`);
const ADDRESS = new RegExp(`^(${HOST}):(\\d{1,5})$`);
const URL_SHAPE = /^(https?|tls|tcp):\/\/((?:\*\.)?[^:/?#@]+)(?::(\d{1,5}))?\/?$/;

const portOf = (text: string): number | null => {
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : null;
};

/** Undefined when it is not in the grammar (ERR_NGROK_600). Labels are left out: they are legacy, and refused beside ACLs. */
const parseRule = (text: string): Rule | undefined => {
  if (text === '*' || text === 'bind:*') return { kind: 'any' };
  if (!text.startsWith('bind:')) return undefined;
  const body = text.slice('bind:'.length).toLowerCase();
  const suffix = BELOW.exec(body)?.[1];
  if (suffix !== undefined) return { kind: 'below', suffix };
  const [, host, portText] = ADDRESS.exec(body) ?? [];
  if (host !== undefined && portText !== undefined) {
    const port = portOf(portText);
    return port === null ? undefined : { kind: 'address', host, port };
  }
  return NAME.test(body) ? { kind: 'name', name: body } : undefined;
};

const isInternal = (host: string): boolean => host === 'internal' || host.endsWith('.internal');

const allows = (rule: Rule, scheme: string, host: string, port: number | null): boolean => {
  // Inside `.internal` a tcp endpoint goes by its name, with any port.
  const isByAddress = scheme === 'tcp' && !isInternal(host);
  switch (rule.kind) {
    case 'any':
      return true;
    case 'name':
      return !isByAddress && host === rule.name;
    case 'below':
      return !isByAddress && host.endsWith(`.${rule.suffix}`);
    case 'address':
      return scheme === 'tcp' && host === rule.host && port === rule.port;
  }
};

/** Checks rules and writes them in one spelling. `BAD_ARGS` for an empty list (it would allow everything), or names the bad rule. */
export const checkAcl = (rules: readonly string[]): Result<readonly string[]> => {
  if (rules.length === 0)
    return failed(
      fault('BAD_ARGS', 'The ACL is empty, and would let the token bind everything in the account.', false),
    );
  const bad = rules.find((rule) => parseRule(rule) === undefined);
  if (bad !== undefined)
    return failed(
      fault(
        'BAD_ARGS',
        `${bad.slice(0, 80)} is no ACL rule: bind:NAME, bind:*.SUFFIX or bind:HOST:PORT.`,
        false,
      ),
    );
  return ok([...new Set(rules.map((rule) => rule.toLowerCase()))].sort((a, b) => (a < b ? -1 : 1)));
};

/** True when every bind is allowed: no rules, or one that says so. */
export const isUnrestricted = (rules: readonly string[]): boolean =>
  rules.length === 0 || rules.some((rule) => parseRule(rule)?.kind === 'any');

/** Whether the rules let an endpoint of this URL be opened. */
export const mayBind = (rules: readonly string[], url: string): boolean => {
  if (isUnrestricted(rules)) return true;
  const [, scheme, host, portText] = URL_SHAPE.exec(url.toLowerCase()) ?? [];
  if (scheme === undefined || host === undefined) return false;
  const port = portText === undefined ? null : portOf(portText);
  return rules.some((text) => {
    const rule = parseRule(text);
    return rule !== undefined && allows(rule, scheme, host, port);
  });
};

/** The exact rule that a URL needs; undefined for one that is random or none. */
export const ruleFor = (url: string): string | undefined => {
  const [, scheme, host, port] = URL_SHAPE.exec(url.toLowerCase()) ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  if (scheme === 'tcp' && !isInternal(host)) return port === undefined ? undefined : `bind:${host}:${port}`;
  return `bind:${host}`;
};
