/** What is wrong with a Traffic Policy before anybody relies on it. Pure. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { isRecord } from '../../protocol/strict-json.ts';
import { ACTIONS, DOORS, GUARDS, TERMINATING } from './actions.ts';
import { isWithoutVersion } from './lint-calls.ts';
import type { Finding } from './lint-finding.ts';
import type { Phase, PolicyAction, PolicyRule, PolicyText } from './policy-text.ts';

export interface LintContext {
  readonly nowMs: number;
  /** Internal URLs that agents are known to open; null when nobody said. */
  readonly internalUrls: readonly string[] | null;
  /** True for a cloud endpoint, whose policy must end every request. */
  readonly isCloud: boolean;
}

type Report = (finding: Finding) => void;

const isConditional = (rule: PolicyRule): boolean => rule.expressions.length > 0;
const goesOn = ({ type, config }: PolicyAction): boolean =>
  type === 'forward-internal' && config['on_error'] === 'continue';

interface Ended {
  readonly by: PolicyAction;
  readonly at: string;
}

const afterEnd = (action: PolicyAction, rule: PolicyRule, { by, at }: Ended, report: Report): void => {
  const isGuard = GUARDS.has(action.type) && !TERMINATING.has(action.type);
  if (isGuard)
    report({
      code: 'GUARD_TOO_LATE',
      severity: 'error',
      at: rule.name,
      message: `${action.type} stands after ${by.type} (${at}), which already answers: it keeps nobody out. Put it before.`,
    });
  else if (!goesOn(by))
    report({
      code: 'UNREACHABLE',
      severity: 'error',
      at: rule.name,
      message: `${action.type} is never reached: ${by.type} (${at}) ends the request.`,
    });
};

/** Actions after one that ends the request: never reached, or only when forwarding failed. */
const order = (rules: readonly PolicyRule[], report: Report): void => {
  let ended: Ended | null = null;
  for (const rule of rules) {
    let here: Ended | null = ended;
    for (const action of rule.actions) {
      if (here !== null) afterEnd(action, rule, here, report);
      else if (TERMINATING.has(action.type)) here = { by: action, at: rule.name };
    }
    // A rule with a condition may be passed by: what follows it is reached.
    if (!isConditional(rule)) ended = here;
  }
};

const DEFAULT_PORT: Readonly<Record<string, string>> = { 'https:': '443', 'http:': '80', 'tls:': '443' };

interface Place {
  readonly scheme: string;
  readonly host: string;
  readonly port: string;
}

/** `scheme host port` of a URL, with the scheme's own port where it has one; null when it cannot be told. */
const placeOf = (text: string): Place | null => {
  const match = /^(https?|tls|tcp):\/\/([^/:?#@\s]+)(?::(\d{1,5}))?\/?$/.exec(text.toLowerCase());
  const [, scheme, host, port] = match ?? [];
  if (scheme === undefined || host === undefined) return null;
  return { scheme, host, port: port ?? DEFAULT_PORT[`${scheme}:`] ?? '' };
};

/** Why a forward leads nowhere; null when it does not. */
const targetProblem = ({ config }: PolicyAction, internalUrls: readonly string[] | null): string | null => {
  const url = config['url'];
  if (typeof url !== 'string') return 'forward-internal has no url.';
  // A name that is worked out for each request cannot be held against anything.
  if (url.includes('${')) return null;
  const place = placeOf(url);
  if (place === null) return `${url} is no URL that can be forwarded to: scheme, name and port, no path.`;
  if (!place.host.endsWith('.internal')) return `${url} is not under .internal.`;
  if (place.port === '') return `${url} needs a port.`;
  if (internalUrls === null) return null;
  const known = internalUrls.flatMap((text) => placeOf(text) ?? []);
  const isSame = ({ scheme, host, port }: Place): boolean =>
    host === place.host && port === place.port && scheme === place.scheme;
  if (known.some(isSame)) return null;
  const letters = (host: string): string => host.replaceAll(/[.-]/g, '');
  const near = known
    .filter(({ host }) => letters(host) === letters(place.host))
    .map(({ scheme, host, port }) => `${scheme}://${host}:${port}`);
  const hint = near.length === 0 ? '' : `; there is ${near.join(', ')}`;
  return `No agent opens ${place.scheme}://${place.host}:${place.port}${hint}.`;
};

const isCidr = (text: unknown): boolean => {
  if (typeof text !== 'string') return false;
  const [address, bits, more] = text.split('/');
  const kind = isIP(address ?? '');
  if (kind === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (kind === 4 ? 32 : 128));
};

const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

const CA_SOON_MS = 30 * 86_400_000;

const authorities = (
  pems: readonly string[],
  say: (code: Finding['code'], severity: Finding['severity'], message: string) => void,
  nowMs: number,
): void => {
  for (const pem of pems) {
    // Named by a reference: not ours to read.
    if (!pem.includes('BEGIN')) continue;
    let until: number;
    try {
      until = Date.parse(new X509Certificate(pem).validTo);
    } catch {
      say('CERTIFICATE', 'error', 'A certificate authority in it cannot be read.');
      continue;
    }
    if (until <= nowMs)
      say(
        'CERTIFICATE',
        'error',
        `A certificate authority in it ended on ${new Date(until).toISOString().slice(0, 10)}.`,
      );
    else if (until - nowMs < CA_SOON_MS)
      say(
        'CERTIFICATE',
        'warning',
        `A certificate authority in it ends on ${new Date(until).toISOString().slice(0, 10)}.`,
      );
  }
};

/** What each kind of action is looked at for. */
const details = (rule: PolicyRule, action: PolicyAction, context: LintContext, report: Report): void => {
  const { type, config } = action;
  const say = (code: Finding['code'], severity: Finding['severity'], message: string): void =>
    report({ code, severity, at: rule.name, message });
  if (config['enforce'] === false && GUARDS.has(type))
    say('NOT_ENFORCED', 'warning', `${type} is not enforced: it only watches.`);
  if (type === 'forward-internal') {
    const problem = targetProblem(action, context.internalUrls);
    if (problem !== null) say('FORWARD_TARGET', 'error', problem);
  }
  if (type === 'http-request') {
    const { url, headers } = config;
    if (isWithoutVersion(url, isRecord(headers) ? Object.keys(headers) : []))
      say('API_VERSION', 'error', "http-request calls ngrok's API without the header ngrok-version: 2.");
  }
  if (type === 'restrict-ips') {
    const allow = texts(config['allow']);
    const listed = [...allow, ...texts(config['deny'])];
    for (const cidr of listed) if (!isCidr(cidr)) say('BAD_CIDR', 'error', `${cidr} is no address range.`);
    if (allow.some((cidr) => /^(0\.0\.0\.0|::)\/0$/.test(cidr)))
      say('OPEN_TO_ALL', 'warning', 'restrict-ips allows every address.');
    if (listed.length === 0 && texts(config['ip_policies']).length === 0)
      say('OPEN_TO_ALL', 'warning', 'restrict-ips names no address.');
  }
  if (type === 'terminate-tls') {
    const given = config['mutual_tls_certificate_authorities'];
    const pems = typeof given === 'string' ? [given] : texts(given);
    authorities(pems, say, context.nowMs);
    const strategy = config['mutual_tls_verification_strategy'];
    if (pems.length > 0 && strategy !== undefined && strategy !== 'require-and-verify')
      say(
        'WEAK_CHECK',
        'error',
        `Client certificates are not required: mutual_tls_verification_strategy is ${String(strategy)}.`,
      );
  }
  if (type === 'jwt-validation') {
    const jws = isRecord(config['jws']) ? config['jws'] : {};
    const weak = texts(jws['allowed_algorithms']).filter((name) => /^(none|hs)/i.test(name));
    if (weak.length > 0) say('WEAK_CHECK', 'error', `jwt-validation takes ${weak.join(', ')}.`);
    for (const part of ['issuer', 'audience']) {
      const rules = isRecord(config[part]) ? config[part]['allow_list'] : undefined;
      if (!Array.isArray(rules) || rules.length === 0)
        say('WEAK_CHECK', 'warning', `jwt-validation does not look at the ${part}.`);
    }
  }
  for (const key of ['client_secret', 'secret', 'password']) {
    const value = config[key];
    if (typeof value === 'string' && value !== '' && !value.includes('${'))
      say(
        'SECRET_IN_TEXT',
        'warning',
        `${type} has its ${key} in the text: keep it in a vault, \${secrets.get('VAULT', 'NAME')}.`,
      );
  }
};

const protection = (rules: readonly PolicyRule[], report: Report): void => {
  const seen = new Set<string>();
  let hasMtls = false;
  for (const rule of rules)
    for (const { type, config } of rule.actions) {
      const isWatching = config['enforce'] === false;
      if (DOORS.has(type) && !isWatching && !isConditional(rule)) seen.add(type);
      if (type === 'terminate-tls' && config['mutual_tls_certificate_authorities'] !== undefined)
        hasMtls = true;
      if (type === 'forward-internal' && seen.size === 0 && !hasMtls)
        report({
          code: 'OPEN_TO_ALL',
          severity: 'warning',
          at: rule.name,
          message:
            'Nothing before forward-internal asks who the visitor is: anybody on the Internet is let through.',
        });
    }
};

/** Every finding, in the order of the text. */
export const lintPolicy = (policy: PolicyText, context: LintContext): readonly Finding[] => {
  const findings: Finding[] = [];
  const report: Report = (finding) => findings.push(finding);
  for (const rule of policy.rules)
    for (const action of rule.actions) {
      const phases = ACTIONS[action.type];
      if (phases === undefined)
        report({
          code: 'UNKNOWN_ACTION',
          severity: 'warning',
          at: rule.name,
          message: `${action.type} is no action that is known here.`,
        });
      else if (!phases.includes(rule.phase))
        report({
          code: 'WRONG_PHASE',
          severity: 'error',
          at: rule.name,
          message: `${action.type} does not work in ${rule.phase}: ${phases.join(' or ')}.`,
        });
      details(rule, action, context, report);
    }
  const inPhase = (phase: Phase): readonly PolicyRule[] =>
    policy.rules.filter((rule) => rule.phase === phase);
  for (const phase of ['on_tcp_connect', 'on_http_request', 'on_http_response'] as const)
    order(inPhase(phase), report);
  const incoming = [...inPhase('on_tcp_connect'), ...inPhase('on_http_request')];
  protection(incoming, report);
  const ends = incoming.some(
    (rule) => !isConditional(rule) && rule.actions.some(({ type }) => TERMINATING.has(type)),
  );
  if (context.isCloud && !ends)
    report({
      code: 'NO_END',
      severity: 'error',
      at: 'policy',
      message:
        'A cloud endpoint must end every request: forward-internal, custom-response, deny or redirect without a condition.',
    });
  return findings;
};
