/**
 * Authtoken ACLs as the sandbox's edge applies them: its grammar and its matcher. Written apart from the product's
 * own matcher on purpose, so that a mistake in one shows up against the other.
 */
import type { Refusal } from '../contract.ts';

/** What an agent wants to bind. `host` may be a wildcard (`*.a.example`); `random` means the agent left the choice to the edge. */
export interface BindTarget {
  readonly proto: string;
  readonly host: string;
  readonly port: number | null;
  readonly random: boolean;
}

type Rule =
  | { readonly kind: 'any' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'suffix'; readonly suffix: string }
  | { readonly kind: 'address'; readonly host: string; readonly port: number }
  | { readonly kind: 'label' };

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const ADDRESS = new RegExp(`^(${LABEL}(?:\\.${LABEL})*):([1-9][0-9]{0,4})$`);
const LABEL_PAIR = /^[^=\s]+=[^=\s]+$/;
const HIGHEST_PORT = 65_535;

/** The rule's meaning, or null when it is not in the grammar (ERR_NGROK_600). */
const parseRule = (text: string): Rule | null => {
  if (text === '*' || text === 'bind:*') return { kind: 'any' };
  if (!text.startsWith('bind:')) return null;
  const body = text.slice('bind:'.length).toLowerCase();
  if (body.startsWith('*.')) {
    return NAME.test(body.slice(2)) ? { kind: 'suffix', suffix: body.slice(1) } : null;
  }
  const address = ADDRESS.exec(body);
  if (address) {
    const port = Number(address[2]);
    return port <= HIGHEST_PORT ? { kind: 'address', host: address[1] ?? '', port } : null;
  }
  if (NAME.test(body)) return { kind: 'name', name: body };
  return LABEL_PAIR.test(body) ? { kind: 'label' } : null;
};

/** The first entry that is not a rule, or null when all are. */
export const badRule = (acl: readonly string[]): string | null =>
  acl.find((rule) => parseRule(rule) === null) ?? null;

/** A tcp endpoint is an address on the public edge and a name inside `.internal`, where any port goes with the name. */
const isAddress = (target: BindTarget): boolean =>
  target.proto === 'tcp' && !target.host.toLowerCase().endsWith('.internal');

const allows = (rule: Rule, target: BindTarget): boolean => {
  const host = target.host.toLowerCase();
  switch (rule.kind) {
    case 'any':
      return true;
    case 'name':
      return !isAddress(target) && host === rule.name;
    case 'suffix':
      // Covers `*.suffix` itself, any depth below it, and never the bare suffix.
      return !isAddress(target) && host.endsWith(rule.suffix);
    case 'address':
      return target.proto === 'tcp' && !target.random && host === rule.host && target.port === rule.port;
    case 'label':
      return false;
  }
};

/** Null when the ACL lets `target` be bound (an empty one lets everything); else 316, 308 or 356. */
export const aclRefusal = (acl: readonly string[], target: BindTarget): Refusal | null => {
  if (acl.length === 0) return null;
  const isAllowed = acl.some((text) => {
    const rule = parseRule(text);
    return rule !== null && allows(rule, target);
  });
  if (isAllowed) return null;
  if (!isAddress(target)) {
    return {
      code: 'ERR_NGROK_316',
      message: `The ACL of this authtoken does not allow the name ${target.host}.`,
    };
  }
  return target.random
    ? { code: 'ERR_NGROK_356', message: 'The ACL of this authtoken does not allow a random TCP address.' }
    : {
        code: 'ERR_NGROK_308',
        message: `The ACL of this authtoken does not allow the address ${target.host}:${target.port ?? ''}.`,
      };
};
