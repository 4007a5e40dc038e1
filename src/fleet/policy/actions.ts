/** The actions of Traffic Policies as far as the lint knows them. */
import type { Phase } from './policy-text.ts';

const HTTP_ONLY: readonly Phase[] = ['on_http_request'];
const HTTP: readonly Phase[] = ['on_http_request', 'on_http_response'];
const TCP: readonly Phase[] = ['on_tcp_connect'];
const ANY: readonly Phase[] = ['on_tcp_connect', 'on_http_request', 'on_http_response'];

/** The actions that are known, and where they may stand. */
export const ACTIONS: Readonly<Record<string, readonly Phase[]>> = {
  'add-headers': HTTP,
  'basic-auth': HTTP_ONLY,
  'circuit-breaker': HTTP_ONLY,
  'close-connection': ANY,
  'compress-response': ['on_http_response'],
  'custom-response': HTTP,
  deny: ANY,
  'forward-internal': ['on_tcp_connect', 'on_http_request'],
  'http-request': HTTP,
  'jwt-validation': HTTP_ONLY,
  log: ANY,
  oauth: HTTP_ONLY,
  'openid-connect': HTTP_ONLY,
  'owasp-crs-request': HTTP_ONLY,
  'owasp-crs-response': ['on_http_response'],
  'rate-limit': HTTP_ONLY,
  redirect: HTTP,
  'remove-headers': HTTP,
  'restrict-ips': ANY,
  saml: HTTP_ONLY,
  'set-vars': ANY,
  'terminate-tls': TCP,
  'url-rewrite': HTTP_ONLY,
  'verify-webhook': HTTP_ONLY,
};
export const TERMINATING = new Set([
  'close-connection',
  'custom-response',
  'deny',
  'forward-internal',
  'redirect',
]);
/** Actions that keep visitors out. */
export const GUARDS = new Set([
  ...['basic-auth', 'deny', 'jwt-validation', 'oauth', 'openid-connect', 'restrict-ips', 'saml'],
  ...['verify-webhook', 'close-connection', 'owasp-crs-request', 'rate-limit'],
]);
/** Those that ask who somebody is, or where from. */
export const DOORS = new Set([
  'basic-auth',
  'jwt-validation',
  'oauth',
  'openid-connect',
  'restrict-ips',
  'saml',
  'verify-webhook',
]);
