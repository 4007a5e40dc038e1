import { expect, test } from 'vitest';
import { endpointHost, isSameEndpoint, normaliseEndpointUrl } from '../../../src/config/endpoint-url.ts';
import { bindFromSpec, endpointFromConfig, endpointFromDocument } from '../../../src/config/endpoints.ts';
import type { DesiredEndpoint } from '../../../src/protocol/desired-schema.ts';
import { BENCH_CONFIG, loadGood } from '../../support/config-fixture.ts';

const { config, policyTexts } = await loadGood({
  config: {
    ...BENCH_CONFIG,
    policies: { office: '/office.yml' },
    endpoints: [
      { name: 'web', proto: 'http', upstream: 'hmi', url: 'https://Press.Example', policy: 'office' },
    ],
  },
  files: { '/office.yml': 'on_http_request: []' },
});

const declared: DesiredEndpoint = { name: 'web', on: true, proto: 'http', upstream: 'hmi' };

test.each([
  ['http', 'https://Press-7.Site-A.Example', 'https://press-7.site-a.example', 'public'],
  ['http', 'HTTPS://press.example:443/', 'https://press.example', 'public'],
  ['http', 'http://press.example:80', 'http://press.example', 'public'],
  ['http', 'https://*.Site-A.Example', 'https://*.site-a.example', 'public'],
  ['http', 'https://hmi.site-a.Internal', 'https://hmi.site-a.internal', 'internal'],
  ['tls', 'tls://press.example', 'tls://press.example', 'public'],
  ['tcp', 'tcp://1.TCP.ngrok.example:12345', 'tcp://1.tcp.ngrok.example:12345', 'public'],
  ['tcp', 'tcp://127.0.0.1:12345', 'tcp://127.0.0.1:12345', 'public'],
  ['tcp', 'tcp://plc.site-a.internal:502', 'tcp://plc.site-a.internal:502', 'internal'],
  ['http', '', '', 'public'],
] as const)('takes for %s the URL %j as %j, bound %s', (proto, url, normal, binding) => {
  expect(normaliseEndpointUrl(proto, url, 'public')).toEqual({ ok: true, value: { url: normal, binding } });
});

test.each([
  ['http', 'press.example', 'public', 'is not a URL'],
  ['http', 'tls://press.example', 'public', 'has the scheme tls'],
  ['http', 'https://press.example:8443', 'public', 'has the port 8443'],
  ['http', 'https://press.example/x', 'public', 'is not a URL'],
  ['http', 'https://u:p@press.example', 'public', 'is not a URL'],
  ['http', 'https://192.0.2.1', 'public', 'has no valid host name'],
  ['tls', 'https://press.example', 'public', 'has the scheme https'],
  ['tcp', 'tcp://press.example', 'public', 'needs a port'],
  ['tcp', 'tcp://press.example:0', 'public', 'needs a port'],
  ['tcp', 'tcp://*.example:1', 'public', 'has no valid host name'],
  ['http', 'https://press.example', 'internal', 'must be a name under .internal'],
  ['http', '', 'internal', 'must be a name under .internal'],
] as const)('refuses for %s the URL %j bound %s', (proto, url, binding, why) => {
  const result = normaliseEndpointUrl(proto, url, binding);
  expect(result.ok ? '' : result.fault.message).toContain(why);
});

test.each([
  ['https://press.example', 'https://PRESS.example', true],
  ['https://press.example', 'https://press.example:41003', true],
  ['https://press.example', 'http://press.example', false],
  ['https://press.example', 'https://other.example', false],
  ['tcp://localhost:41', 'tcp://localhost:41', true],
  ['tcp://localhost:41', 'tcp://localhost:42', false],
  ['', 'https://random.example', true],
])('compares the wanted %j with the reported %j', (wanted, reported, same) => {
  expect(isSameEndpoint(wanted, reported)).toBe(same);
});

test('names the host of a URL, with or without a port', () => {
  expect(endpointHost('https://Press.example:41003')).toBe('press.example');
  expect(endpointHost('https://*.a.example')).toBe('*.a.example');
  expect(endpointHost('rubbish')).toBeNull();
});

test('gives the spec of an endpoint of the file', () => {
  const [first] = config.endpoints;
  if (first === undefined) return expect.unreachable();
  expect(endpointFromConfig(first)).toEqual({
    ok: true,
    value: {
      name: 'web',
      proto: 'http',
      upstream: 'hmi',
      url: 'https://press.example',
      on: false,
      policy: 'office',
      binding: 'public',
      metadata: '',
      pooling: true,
      metering: 'on',
      idleCloseS: 0,
      windows: [],
      ttlS: 0,
      origin: 'file',
    },
  });
});

test('fills in defaults for an endpoint of a document', () => {
  expect(
    endpointFromDocument({ ...declared, url: 'https://A.Internal', ttl_s: 60, idle_s: 5 }, config),
  ).toEqual({
    ok: true,
    value: {
      name: 'web',
      proto: 'http',
      upstream: 'hmi',
      url: 'https://a.internal',
      on: true,
      policy: '',
      binding: 'internal',
      metadata: '',
      pooling: true,
      metering: 'on',
      idleCloseS: 5,
      windows: [],
      ttlS: 60,
      origin: 'document',
    },
  });
});

test.each([
  [{ upstream: 'plc' }, 'UPSTREAM_DENIED', 'No upstream of this device is named "plc"'],
  [{ upstream: 'tcp://10.0.0.1:22' }, 'UPSTREAM_DENIED', 'No entry of allowUpstreams covers'],
  [{ policy: 'open' }, 'UNKNOWN_POLICY', 'names the policy open'],
  [{ url: 'tls://a.example' }, 'BAD_ARGS', 'url of web has the scheme tls'],
  [{ windows: ['never'] }, 'BAD_ARGS', 'window of web is not DAYS'],
])("refuses a document's endpoint with %j", (change, code, why) => {
  const result = endpointFromDocument({ ...declared, ...change }, config);
  if (result.ok) expect.unreachable();
  else {
    expect(result.fault).toMatchObject({ code, retryable: false });
    expect(result.fault.message).toContain(why);
  }
});

test("turns a spec into a bind with its policy's text", () => {
  const spec = endpointFromDocument({ ...declared, policy: 'office' }, config);
  if (!spec.ok) return expect.unreachable();
  expect(bindFromSpec(spec.value, config, policyTexts)).toEqual({
    ok: true,
    value: {
      name: 'web',
      proto: 'http',
      url: '',
      binding: 'public',
      metadata: '',
      pooling: true,
      metering: 'on',
      policy: 'on_http_request: []',
      upstream: { ref: 'hmi', host: '127.0.0.1', port: 8080 },
    },
  });
  expect(bindFromSpec(spec.value, config, {})).toMatchObject({
    ok: false,
    fault: { code: 'UNKNOWN_POLICY' },
  });
});
