import { describe, expect, test } from 'vitest';
import { checkRules } from '../../../src/sandbox/front/endpoint-rules.ts';
import { manualClock } from '../../support/manual-clock.ts';

const context = { clock: manualClock(), log: () => undefined };
const refusalOf = (opts: object, proto = 'https', forwardsProto = '') =>
  checkRules(proto, { ...opts }, forwardsProto, context);
const withPolicy = (document: unknown, proto = 'https') =>
  refusalOf({ TrafficPolicy: typeof document === 'string' ? document : JSON.stringify(document) }, proto);

describe('binds that the edge can honour', () => {
  test('pass: none set, all null, and every module it knows', () => {
    const unset = { Compression: null, IPRestriction: null, TrafficPolicy: null, ProxyProto: 0, OAuth: null };
    expect(refusalOf({})).toBeNull();
    expect(refusalOf(unset)).toBeNull();
    expect(
      refusalOf({ Compression: {}, CircuitBreaker: { error_threshold: 0.01 }, WebsocketTCPConverter: {} }),
    ).toBeNull();
    expect(refusalOf({}, 'https', 'http1')).toBeNull();
    expect(refusalOf({}, 'https', 'http2')).toBeNull();
  });

  test.each(['', 'on_http_request: []', '{"inbound":[],"outbound":[]}', '{}'])(
    'pass with the policy %j',
    (text) => {
      expect(withPolicy(text)).toBeNull();
    },
  );
});

describe('binds that the edge cannot honour are refused with 9026', () => {
  test.each([
    ['OAuth', { OAuth: { provider: 'google' } }],
    ['OIDC', { OIDC: { issuer_url: 'https://idp.example' } }],
    ['webhook verification', { WebhookVerification: { provider: 'github' } }],
    ['mutual TLS at the agent', { MutualTLSAtAgent: true }],
    ['a client authority that is none', { MutualTLSCA: { mutual_tls_ca: 'bm8=' } }],
    ['an address range that is none', { IPRestriction: { allow_cidrs: ['10.0.0.0/33'] } }],
    ['an unknown PROXY version', { ProxyProto: 3 }],
    ['a bad user agent pattern', { UserAgentFilter: { allow: ['('] } }],
    ['a header without a value', { RequestHeaders: { add: ['x'] } }],
    ['a header that would break framing', { ResponseHeaders: { add: ['content-length:1'] } }],
    ['basic auth for nobody', { BasicAuth: { credentials: [] } }],
  ])('%s', (_what, opts) => {
    expect(refusalOf(opts)).toMatchObject({ code: 'ERR_NGROK_9026' });
  });

  test('an unknown protocol towards the agent', () => {
    expect(refusalOf({}, 'https', 'spdy')).toMatchObject({ code: 'ERR_NGROK_9026' });
  });

  test('a tls pair that is none, and client certificates without termination', () => {
    expect(refusalOf({ TLSTermination: { cert: 'eA==', key: 'eA==' } }, 'tls')).toMatchObject({
      code: 'ERR_NGROK_9026',
    });
    expect(refusalOf({ MutualTLSAtEdge: { mutual_tls_ca: 'eA==' } }, 'tls')).toMatchObject({
      code: 'ERR_NGROK_9026',
    });
  });
});

describe('policies that the edge cannot carry out are refused with 9026', () => {
  const rule = (type: string, config: object = {}, expressions: string[] = []) => [
    { expressions, actions: [{ type, config }] },
  ];
  test.each([
    ['neither JSON nor YAML', '{"on_http_request":'],
    ['not an object', 'just words'],
    ['an unknown phase', { on_event_destination: [] }],
    ['switched off', { enabled: false }],
    ['a rule without actions', { on_http_request: [{ name: 'x' }] }],
    ['an unknown member of a rule', { on_http_request: [{ actions: [{ type: 'deny' }], if: 'x' }] }],
    ['an unknown action', { on_http_request: rule('oauth') }],
    ['an action of a name every object has', { on_http_request: rule('constructor') }],
    ['an action in the wrong phase', { on_http_response: rule('rate-limit') }],
    ['an unknown setting of an action', { on_http_request: rule('deny', { code: 1 }) }],
    ['an action that is not enforced', { on_http_request: rule('restrict-ips', { enforce: false }) }],
    ['an impossible status', { on_http_request: rule('deny', { status_code: 99 }) }],
    ['an unknown variable', { on_http_request: rule('deny', {}, ["conn.geo.country == 'x'"]) }],
    ['a variable of a later phase', { on_http_request: rule('deny', {}, ['res.status_code == 1']) }],
    ['an expression that is no condition', { on_http_request: rule('deny', {}, ['req.method']) }],
    ['an expression that does not parse', { on_http_request: rule('deny', {}, ['req.method ==']) }],
    ['an unknown function', { on_http_request: rule('deny', {}, ["inCidrRange(conn.client_ip, '::/0')"]) }],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the policy's own placeholder
    ['text with an unknown variable', { on_http_request: rule('custom-response', { body: '${secrets.x}' }) }],
    ['a limit without a span', { on_http_request: rule('rate-limit', { capacity: 1 }) }],
  ])('%s', (_what, document) => {
    expect(withPolicy(document)).toMatchObject({ code: 'ERR_NGROK_9026' });
  });

  test('phases of HTTP at a tcp or tls endpoint', () => {
    const policy = { on_http_request: [{ actions: [{ type: 'deny' }] }] };
    expect(withPolicy(policy, 'tcp')).toMatchObject({ code: 'ERR_NGROK_9026' });
    expect(withPolicy({ inbound: policy.on_http_request }, 'tcp')).toBeNull();
    expect(withPolicy({ outbound: policy.on_http_request }, 'tls')).toMatchObject({ code: 'ERR_NGROK_9026' });
  });
});
