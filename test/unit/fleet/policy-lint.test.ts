import { describe, expect, test } from 'vitest';
import { lintPolicy } from '../../../src/fleet/policy/lint.ts';
import { lintCalls } from '../../../src/fleet/policy/lint-calls.ts';
import { lintEndpoints } from '../../../src/fleet/policy/lint-endpoints.ts';
import { readPolicyText } from '../../../src/fleet/policy/policy-text.ts';
import { PRESETS, policyText, presetRules, withForward } from '../../../src/fleet/policy/preset.ts';
import { readPolicy } from '../../../src/sandbox/front/policy/document.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

const lint = (
  text: string,
  internalUrls: readonly string[] | null = null,
  isCloud = false,
): readonly string[] => {
  const policy = readPolicyText(text);
  if (!policy.ok) return [policy.fault.message];
  return lintPolicy(policy.value, { nowMs: NOW_MS, internalUrls, isCloud }).map(
    ({ code, at }) => `${code} ${at}`,
  );
};
const http = (...actions: object[]): string => JSON.stringify({ on_http_request: [{ actions }] });
const FORWARD = { type: 'forward-internal', config: { url: 'https://a.internal' } };
const IPS = { type: 'restrict-ips', config: { enforce: true, allow: ['192.0.2.0/24'] } };
const AT = 'on_http_request[1]';

describe('the traps that are easy to step into', () => {
  test.each<[string, string, readonly string[]]>([
    ['a guard behind the forward', http(FORWARD, IPS), [`GUARD_TOO_LATE ${AT}`, `OPEN_TO_ALL ${AT}`]],
    [
      'the same with a way on',
      http({ ...FORWARD, config: { ...FORWARD.config, on_error: 'continue' } }, IPS),
      [`GUARD_TOO_LATE ${AT}`, `OPEN_TO_ALL ${AT}`],
    ],
    [
      'a fall-back behind the forward',
      http(
        IPS,
        { ...FORWARD, config: { ...FORWARD.config, on_error: 'continue' } },
        { type: 'custom-response' },
      ),
      [],
    ],
    ['an answer never reached', http(IPS, FORWARD, { type: 'custom-response' }), [`UNREACHABLE ${AT}`]],
    [
      'a rule behind one that always ends',
      JSON.stringify({ on_http_request: [{ actions: [{ type: 'deny' }] }, { actions: [{ type: 'log' }] }] }),
      ['UNREACHABLE on_http_request[2]'],
    ],
    [
      'a rule behind one that may be passed',
      JSON.stringify({
        on_http_request: [
          { expressions: ['true'], actions: [{ type: 'deny' }] },
          { actions: [IPS, FORWARD] },
        ],
      }),
      [],
    ],
    ['nobody is asked', http(FORWARD), [`OPEN_TO_ALL ${AT}`]],
    [
      'a guard that only watches',
      http({ ...IPS, config: { ...IPS.config, enforce: false } }, FORWARD),
      [`NOT_ENFORCED ${AT}`, `OPEN_TO_ALL ${AT}`],
    ],
    ['everybody allowed', http({ ...IPS, config: { allow: ['0.0.0.0/0'] } }), [`OPEN_TO_ALL ${AT}`]],
    ['no address', http({ ...IPS, config: { allow: ['192.0.2.0/33'] } }), [`BAD_CIDR ${AT}`]],
    [
      'a target outside',
      http(IPS, { type: 'forward-internal', config: { url: 'https://a.example' } }),
      [`FORWARD_TARGET ${AT}`],
    ],
    [
      'a tcp target without port',
      http(IPS, { type: 'forward-internal', config: { url: 'tcp://a.internal' } }),
      [`FORWARD_TARGET ${AT}`],
    ],
    [
      'a phase too early',
      JSON.stringify({ on_tcp_connect: [{ actions: [{ type: 'oauth' }] }] }),
      ['WRONG_PHASE on_tcp_connect[1]'],
    ],
    ['an action nobody knows', http({ type: 'restrict-ip' }), [`UNKNOWN_ACTION ${AT}`]],
    [
      'a secret in the text',
      http({ type: 'oauth', config: { client_secret: 'hunter2' } }),
      [`SECRET_IN_TEXT ${AT}`],
    ],
    [
      'a secret in the vault',
      http({ type: 'oauth', config: { client_secret: `\${secrets.get('v', 'n')}` } }),
      [],
    ],
    [
      'a token that anybody can sign',
      http({
        type: 'jwt-validation',
        config: {
          issuer: { allow_list: [{ value: 'a' }] },
          audience: { allow_list: [{ value: 'b' }] },
          jws: { allowed_algorithms: ['HS256'] },
        },
      }),
      [`WEAK_CHECK ${AT}`],
    ],
    [
      'client certificates not required',
      JSON.stringify({
        on_tcp_connect: [
          {
            actions: [
              {
                type: 'terminate-tls',
                config: {
                  mutual_tls_certificate_authorities: ['ca_1'],
                  mutual_tls_verification_strategy: 'request',
                },
              },
            ],
          },
        ],
      }),
      ['WEAK_CHECK on_tcp_connect[1]'],
    ],
    [
      'no certificate at all',
      JSON.stringify({
        on_tcp_connect: [
          {
            actions: [
              {
                type: 'terminate-tls',
                config: { mutual_tls_certificate_authorities: ['-----BEGIN CERTIFICATE-----\nx'] },
              },
            ],
          },
        ],
      }),
      ['CERTIFICATE on_tcp_connect[1]'],
    ],
  ])('%s', (_what, text, expected) => {
    expect(lint(text)).toEqual(expected);
  });

  test('a target is held against what agents open: scheme, name and port, near misses named', () => {
    const declared = ['http://telemetry-api.internal:8080'];
    const policy = (url: string) => readPolicyText(http(IPS, { type: 'forward-internal', config: { url } }));
    const messages = (url: string): readonly string[] => {
      const read = policy(url);
      if (!read.ok) throw new Error(read.fault.message);
      return lintPolicy(read.value, { nowMs: NOW_MS, internalUrls: declared, isCloud: false }).map(
        ({ message }) => message,
      );
    };
    expect(messages('http://telemetry-api.internal:8080')).toEqual([]);
    expect(messages('http://Telemetry-API.internal:8080')).toEqual([]);
    expect(messages('https://telemetry-api.internal')).toEqual([
      'No agent opens https://telemetry-api.internal:443; there is http://telemetry-api.internal:8080.',
    ]);
    expect(messages('http://telemetry.api.internal:8080')).toEqual([
      'No agent opens http://telemetry.api.internal:8080; there is http://telemetry-api.internal:8080.',
    ]);
    expect(messages('https://other.internal')).toEqual(['No agent opens https://other.internal:443.']);
    // Worked out for each request.
    expect(messages(`https://\${conn.server_name.split('.')[0]}.internal`)).toEqual([]);
  });

  test('a cloud endpoint must end every request', () => {
    expect(lint(http(IPS), null, true)).toEqual(['NO_END policy']);
    expect(lint(http(IPS, FORWARD), null, true)).toEqual([]);
  });

  test("the agent's own API is never opened without a policy", () => {
    const endpoint = {
      name: 'api',
      url: 'https://a.internal',
      upstream: 'http://127.0.0.1:4040',
      policy: '',
      binding: '',
    };
    expect(lintEndpoints([endpoint], '').map(({ code }) => code)).toEqual(['LOCAL_API']);
    expect(lintEndpoints([{ ...endpoint, policy: 'office-only' }], '')).toEqual([]);
    expect(lintEndpoints([{ ...endpoint, upstream: 'http://192.168.7.2:4040' }], '')).toEqual([]);
    expect(
      lintEndpoints([{ ...endpoint, upstream: 'http://127.0.0.1:9000' }], '127.0.0.1:9000'),
    ).toHaveLength(1);
  });
});

test('what cannot be read names its place', () => {
  expect(lint('on_http_request:\n  - actions: [\n')).toEqual([
    expect.stringMatching(/neither JSON nor YAML at line \d+, column \d+/),
  ]);
  expect(lint('{"inbound":[]}')).toEqual([expect.stringContaining('inbound, which is now on_http_request')]);
  expect(lint('{"on_http_request":[{"actions":[{}]}]}')).toEqual([
    expect.stringContaining('action without type at on_http_request[1]'),
  ]);
  expect(lint('[]')).toEqual([expect.stringContaining('no object of phases')]);
  expect(lint('\ufeffon_http_request: []\r\n')).toEqual([]);
});

test.each([...PRESETS])(
  'preset %s is clean, also with the way to the device, and the edge reads it',
  (name) => {
    const rules = presetRules(name, {
      allow: ['192.0.2.0/24'],
      caPem: 'ca_2x',
      provider: 'google',
      emails: ['@example.com', 'a@b.example'],
      issuer: 'https://issuer.example',
      audience: 'press',
      jwksUrl: 'https://issuer.example/jwks',
      perMinute: 60,
    });
    if (!rules.ok) throw new Error(rules.fault.message);
    const text = policyText(withForward(rules.value, 'https://press-7.internal'));
    const open = name === 'rate-limit' ? ['OPEN_TO_ALL to the device'] : [];
    expect(lint(text, ['https://press-7.internal'], true)).toEqual(open);
    expect(() => readPolicy(text, 'http')).not.toThrow();
    const missing = presetRules(name, {
      allow: [],
      caPem: null,
      provider: '',
      emails: [],
      issuer: null,
      audience: null,
      jwksUrl: null,
      perMinute: 1,
    });
    expect(missing.ok).toBe(['oauth', 'rate-limit'].includes(name));
  },
);

test.each<[string, readonly string[]]>([
  ['http://192.168.7.2', ['warning UPSTREAM_PORT']],
  ['tcp://192.168.7.2', ['error UPSTREAM_PORT']],
  ['192.168.7.2', ['error UPSTREAM_PORT']],
  ['tcp://[::1]', ['error UPSTREAM_PORT']],
  ['http://192.168.7.2:80', []],
  ['https://[::1]:8443/path', []],
])('the port of the upstream %s', (upstream, expected) => {
  const endpoint = { name: 'web', url: 'https://a.internal', upstream, policy: '', binding: '' };
  expect(lintEndpoints([endpoint], '').map(({ severity, code }) => `${severity} ${code}`)).toEqual(expected);
});

describe("calls of ngrok's APIs", () => {
  const calls = (text: string): readonly string[] => lintCalls(text).map(({ code, at }) => `${code} ${at}`);

  test.each<[string, string, readonly string[]]>([
    [
      'no version',
      'curl -H "Authorization: Bearer $KEY" https://api.ngrok.com/credentials',
      ['API_VERSION line 1'],
    ],
    [
      'no version over several lines',
      'set -e\ncurl \\\n  -X POST \\\n  https://api.ngrok.com/service_users\n',
      ['API_VERSION line 2'],
    ],
    ['a version', 'curl -H "ngrok-version: 2" https://api.ngrok.com/credentials', []],
    ['a version on another line', 'curl https://api.ngrok.com/credentials \\\n  -H "Ngrok-Version: 2"', []],
    [
      'a version in another command',
      'curl https://api.ngrok.com/a\ncurl -H "Ngrok-Version: 2" x',
      ['API_VERSION line 1'],
    ],
    ['another host', 'curl https://api.ngrok.com.example/credentials https://example.com', []],
    ['a word in a sentence', 'The base is https://api.ngrok.com; see below.', []],
    ['a resource that is none', 'curl http://127.0.0.1:4040/api/tunnel', ['AGENT_API_PATH line 1']],
    ['one with a name', 'GET /api/tunnel/web', ['AGENT_API_PATH line 1']],
    [
      'those that are there',
      'GET /api/tunnels\nGET /api/tunnels/web\nGET /api/endpoints\nGET /api/tunnel_sessions',
      [],
    ],
    [
      'a credential that may do everything',
      `curl -X POST -H "Ngrok-Version: 2" -d '{"owner_id":"service_2x"}' https://api.ngrok.com/credentials`,
      ['TOKEN_UNRESTRICTED line 1'],
    ],
    [
      'an empty list of rules, over several lines and by its older name',
      `curl -H "Ngrok-Version: 2" \\\n  --data '{"acl":[]}' \\\n  https://api.ngrok.com/tunnel_credentials`,
      ['TOKEN_UNRESTRICTED line 1'],
    ],
    ["the agent's command line", 'ngrok api credentials create', ['TOKEN_UNRESTRICTED line 1']],
    [
      'credentials that are held to something',
      [
        `curl -H "Ngrok-Version: 2" -d '{"acl":["bind:a.internal"]}' https://api.ngrok.com/credentials`,
        'curl -H "Ngrok-Version: 2" -d @body.json https://api.ngrok.com/credentials',
        'ngrok api credentials create --acl bind:a.internal',
        'curl -H "Ngrok-Version: 2" https://api.ngrok.com/credentials',
        `curl -H "Ngrok-Version: 2" -X PATCH -d '{"metadata":""}' https://api.ngrok.com/credentials/cr_2x`,
      ].join('\n'),
      [],
    ],
    [
      'upstreams of the agent without port',
      'endpoints:\n  - name: a\n    upstream:\n      protocol: http1\n      url: 192.168.7.2\n  - upstream:\n      url: "tcp://[::1]"\n',
      ['UPSTREAM_PORT line 5', 'UPSTREAM_PORT line 7'],
    ],
    [
      'upstreams of the agent with one, and URLs that are none',
      'endpoints:\n  - upstream:\n      url: 192.168.7.2:80\n  - upstream:\n      url: 8080\n  - upstream:\n      protocol: http1\n    url: https://a.internal\n',
      [],
    ],
  ])('%s', (_, text, expected) => {
    expect(calls(text)).toEqual(expected);
  });

  test('in a policy', () => {
    const call = (headers: object) =>
      http(
        IPS,
        { type: 'http-request', config: { url: 'https://api.ngrok.com/credentials', headers } },
        FORWARD,
      );
    expect(lint(call({ accept: 'application/json' }))).toEqual([`API_VERSION ${AT}`]);
    expect(lint(call({ 'Ngrok-Version': '2' }))).toEqual([]);
  });
});
