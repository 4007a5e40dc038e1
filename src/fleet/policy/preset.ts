/** Ready policies for what most people want, in the order that works. Pure. */
import { stringify } from 'yaml';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import type { Options, PolicyText } from './policy-text.ts';

export const PRESETS = ['restrict-ips', 'mtls', 'oauth', 'jwt', 'rate-limit'] as const;
export type Preset = (typeof PRESETS)[number];

export interface PresetInputs {
  readonly allow: readonly string[];
  /** PEM text of the authorities whose client certificates are let in. */
  readonly caPem: string | null;
  readonly provider: string;
  /** Mail addresses or domains (`@example.com`) that may sign in; none lets in whoever the provider knows. */
  readonly emails: readonly string[];
  readonly issuer: string | null;
  readonly audience: string | null;
  readonly jwksUrl: string | null;
  /** Requests per minute and client address. */
  readonly perMinute: number;
}

const need = (what: string) => failed(fault('BAD_ARGS', `This preset needs ${what}.`, false));
const rule = (name: string, ...actions: readonly Options[]): Options => ({ name, actions });

const emailRule = (emails: readonly string[]): readonly Options[] => {
  if (emails.length === 0) return [];
  const test = (email: string): string =>
    email.startsWith('@')
      ? `actions.ngrok.oauth.identity.email.endsWith(${JSON.stringify(email)})`
      : `actions.ngrok.oauth.identity.email == ${JSON.stringify(email)}`;
  return [
    {
      name: 'only these people',
      expressions: [`!(${emails.map(test).join(' || ')})`],
      actions: [{ type: 'deny' }],
    },
  ];
};

/** The rules of a preset, as an object of phases. `BAD_ARGS` names what is missing. */
export const presetRules = (preset: Preset, inputs: PresetInputs): Result<Options> => {
  const { allow, caPem, provider, emails, issuer, audience, jwksUrl, perMinute } = inputs;
  switch (preset) {
    case 'restrict-ips':
      if (allow.length === 0) return need('--allow');
      return ok({
        on_tcp_connect: [
          rule('known addresses only', { type: 'restrict-ips', config: { enforce: true, allow } }),
        ],
      });
    case 'mtls':
      if (caPem === null) return need('--ca-file');
      return ok({
        on_tcp_connect: [
          rule('client certificates', {
            type: 'terminate-tls',
            config: {
              min_version: '1.2',
              mutual_tls_certificate_authorities: [caPem.trim()],
              mutual_tls_verification_strategy: 'require-and-verify',
            },
          }),
        ],
      });
    case 'oauth':
      return ok({
        on_http_request: [rule('sign in', { type: 'oauth', config: { provider } }), ...emailRule(emails)],
      });
    case 'jwt':
      if (issuer === null || audience === null || jwksUrl === null)
        return need('--issuer, --audience and --jwks-url');
      return ok({
        on_http_request: [
          rule('a token that is good', {
            type: 'jwt-validation',
            config: {
              issuer: { allow_list: [{ value: issuer }] },
              audience: { allow_list: [{ value: audience }] },
              http: { tokens: [{ type: 'jwt', method: 'header', name: 'Authorization', prefix: 'Bearer ' }] },
              jws: {
                allowed_algorithms: ['ES256', 'RS256'],
                keys: { sources: { additional_jkus: [jwksUrl] } },
              },
            },
          }),
        ],
      });
    case 'rate-limit':
      return ok({
        on_http_request: [
          rule('not too often', {
            type: 'rate-limit',
            config: {
              name: 'per address',
              algorithm: 'sliding_window',
              capacity: perMinute,
              rate: '60s',
              bucket_key: ['conn.client_ip'],
            },
          }),
        ],
      });
  }
};

const listAt = (document: Options, phase: string): readonly unknown[] => {
  const value = document[phase];
  return Array.isArray(value) ? value : [];
};

/** True when the policy forwards by itself. */
export const forwards = ({ rules }: Pick<PolicyText, 'rules'>): boolean =>
  rules.some(({ actions }) => actions.some(({ type }) => type === 'forward-internal'));

/**
 * Adds the end: forward to the device's internal endpoint, and for http a sentence with 503 while nothing is there. It
 * goes behind every rule that is there, so that what guards is asked first.
 */
export const withForward = (document: Options, target: string): Options => {
  const isHttp = /^https?:/.test(target);
  const phase = isHttp ? 'on_http_request' : 'on_tcp_connect';
  const forward = rule(
    'to the device',
    { type: 'forward-internal', config: { url: target, ...(isHttp ? { on_error: 'continue' } : {}) } },
    ...(isHttp
      ? [
          {
            type: 'custom-response',
            config: {
              status_code: 503,
              headers: { 'content-type': 'text/plain', 'retry-after': '30' },
              body: 'The device is not on line, or this endpoint is closed.\n',
            },
          },
        ]
      : []),
  );
  return { ...document, [phase]: [...listAt(document, phase), forward] };
};

/** The text of a policy, always in the same form, so that two can be compared by lines. */
export const policyText = (document: Options): string => stringify(document, { lineWidth: 0 });
