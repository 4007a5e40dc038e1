import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { RunningFrontEnd } from '../../src/sandbox/front/front-end.ts';
import { modelEndpoint } from '../support/edge-model.ts';
import { ask, httpUpstream, startFront } from '../support/front-world.ts';
import { manualClock } from '../support/manual-clock.ts';

/** A front end with one endpoint, whose upstream answers with what it got. */
const fronted = async (
  opts: Record<string, unknown>,
  options: Parameters<typeof startFront>[1] = {},
): Promise<RunningFrontEnd> => {
  const port = await httpUpstream((q, r) => {
    r.writeHead(q.url?.startsWith('/500') === true ? 500 : 200, [
      'X-Up',
      'yes',
      'Content-Type',
      'text/plain',
    ]);
    r.end(JSON.stringify({ url: q.url, headers: q.headers }));
  });
  const front = await startFront(
    [modelEndpoint({ proto: 'https', host: 'a.edge.test', opts }, port)],
    options,
  );
  expect(front.checkBind('https', opts, '')).toBeNull();
  return front;
};

const policy = (document: object) => ({ TrafficPolicy: JSON.stringify(document) });
const basic = (pair: string): string[] => ['Authorization', `Basic ${Buffer.from(pair).toString('base64')}`];

describe('modules', () => {
  test('keep addresses out with 403 and 3205: a denied range wins over an allowed one', async () => {
    const front = await fronted({
      IPRestriction: { allow_cidrs: ['127.0.0.1/32'], deny_cidrs: ['0.0.0.0/0'] },
    });
    const got = await ask(front, 'a.edge.test');
    expect([got.status, got.headers['ngrok-error-code']]).toEqual([403, 'ERR_NGROK_3205']);
    const open = await fronted({ IPRestriction: { allow_cidrs: ['127.0.0.0/8'] } });
    expect((await ask(open, 'a.edge.test')).status).toBe(200);
    const strange = await fronted({ IPRestriction: { allow_cidrs: ['10.0.0.0/8'] } });
    expect((await ask(strange, 'a.edge.test')).status).toBe(403);
  });

  test('ask for a user name and a password', async () => {
    const front = await fronted({
      BasicAuth: { credentials: [{ username: 'ngrok', cleartext_password: 'online1line:x' }] },
    });
    const none = await ask(front, 'a.edge.test');
    expect([none.status, none.headers['ngrok-error-code']]).toEqual([401, 'ERR_NGROK_3202']);
    expect(none.headers['www-authenticate']).toMatch(/^Basic realm=/);
    expect((await ask(front, 'a.edge.test', { headers: basic('ngrok:wrong') })).status).toBe(401);
    expect((await ask(front, 'a.edge.test', { headers: basic('ngrok:online1line:x') })).status).toBe(200);
  });

  test('filter user agents: an allow match wins', async () => {
    const front = await fronted({ UserAgentFilter: { allow: ['(?i)^good'], deny: ['.*'] } });
    const status = async (agent: string): Promise<number> =>
      (await ask(front, 'a.edge.test', { headers: ['User-Agent', agent] })).status;
    expect([await status('GOOD one'), await status('bad')]).toEqual([200, 403]);
    const refused = await ask(front, 'a.edge.test', { headers: ['User-Agent', 'bad'] });
    expect(refused.headers['ngrok-error-code']).toBe('ERR_NGROK_3211');
  });

  test('add and remove header fields on both ways', async () => {
    const front = await fronted({
      RequestHeaders: { add: ['foo:bar: baz'], remove: ['gone'] },
      ResponseHeaders: { add: ['spam:eggs'], remove: ['x-up'] },
    });
    const got = await ask(front, 'a.edge.test', { headers: ['Gone', '1', 'Foo', 'old'] });
    const seen = JSON.parse(got.body.toString()).headers;
    expect([seen.foo, seen.gone]).toEqual(['bar: baz', undefined]);
    expect([got.headers['spam'], got.headers['x-up']]).toEqual(['eggs', undefined]);
  });

  test('compress small answers with gzip when the visitor takes it', async () => {
    const front = await fronted({ Compression: {} });
    const got = await ask(front, 'a.edge.test', { headers: ['Accept-Encoding', 'gzip, deflate, br'] });
    expect(got.headers['content-encoding']).toBe('gzip');
    expect(JSON.parse(gunzipSync(got.body).toString()).url).toBe('/');
    const plain = await ask(front, 'a.edge.test', { headers: ['Accept-Encoding', 'gzip;q=0, br'] });
    expect(plain.headers['content-encoding']).toBeUndefined();
  });

  test('break the circuit when most answers fail, and close it again', async () => {
    const clock = manualClock();
    const front = await fronted({ CircuitBreaker: { error_threshold: 0.5 } }, { clock });
    for (let n = 0; n < 10; n += 1) {
      expect((await ask(front, 'a.edge.test', { path: '/500' })).status).toBe(500);
    }
    expect((await ask(front, 'a.edge.test')).status).toBe(503);
    await clock.advance(10_000);
    expect((await ask(front, 'a.edge.test')).status).toBe(200);
  });
});

describe('a Traffic Policy', () => {
  test('denies, answers by itself and redirects, each where its expressions hold', async () => {
    const front = await fronted(
      policy({
        on_http_request: [
          { expressions: ["req.method == 'PUT'"], actions: [{ type: 'deny', config: { status_code: 405 } }] },
          {
            expressions: ["req.url.path.startsWith('/teapot') && 'x-tea' in req.headers"],
            actions: [
              {
                type: 'custom-response',
                config: {
                  status_code: 418,
                  // biome-ignore lint/suspicious/noTemplateCurlyInString: the policy's own placeholder
                  body: 'tea for ${conn.client_ip}',
                  headers: { 'content-type': 'text/tea' },
                },
              },
            ],
          },
          {
            expressions: ["req.url.path.matches('^/old/')"],
            actions: [{ type: 'redirect', config: { from: '/old/(.*)', to: '/new/$1', status_code: 301 } }],
          },
        ],
      }),
    );
    expect((await ask(front, 'a.edge.test', { method: 'PUT' })).status).toBe(405);
    const tea = await ask(front, 'a.edge.test', { path: '/teapot?x', headers: ['X-Tea', '1'] });
    expect([tea.status, tea.body.toString(), tea.headers['content-type']]).toEqual([
      418,
      'tea for 127.0.0.1',
      'text/tea',
    ]);
    expect((await ask(front, 'a.edge.test', { path: '/teapot' })).status).toBe(200);
    const moved = await ask(front, 'a.edge.test', { path: '/old/page?q=1' });
    expect([moved.status, moved.headers['location']]).toEqual([301, 'http://a.edge.test/new/page?q=1']);
  });

  test('changes answers, in YAML and under its old names', async () => {
    const yaml = `
inbound:
  - actions: [{ type: add-headers, config: { headers: { x-from: "\${req.method} \${req.url.path}" } } }]
outbound:
  - name: test_out
    expressions: ["req.Method == 'GET'", "res.StatusCode == '200'"]
    actions:
      - Type: add-headers
        Config: { headers: { foo: bar } }
      - type: remove-headers
        config: { headers: [X-Up] }
      - type: compress-response
`;
    const front = await fronted({ TrafficPolicy: yaml });
    const got = await ask(front, 'a.edge.test', { path: '/p', headers: ['Accept-Encoding', 'br, gzip'] });
    expect([got.headers['foo'], got.headers['x-up'], got.headers['content-encoding']]).toEqual([
      'bar',
      undefined,
      'gzip',
    ]);
    expect(JSON.parse(gunzipSync(got.body).toString()).headers['x-from']).toBe('GET /p');
    const failed = await ask(front, 'a.edge.test', { path: '/500' });
    expect([failed.headers['foo'], failed.headers['x-up']]).toEqual([undefined, 'yes']);
  });

  test('limits the rate per bucket over a sliding window', async () => {
    const clock = manualClock();
    const config = { name: 'few', capacity: 2, rate: '60s', bucket_key: ["req.headers['x-who'][0]"] };
    const front = await fronted(
      policy({ on_http_request: [{ actions: [{ type: 'rate-limit', config }] }] }),
      { clock },
    );
    const by = async (who: string): Promise<number> =>
      (await ask(front, 'a.edge.test', { headers: ['X-Who', who] })).status;
    expect([await by('a'), await by('a'), await by('a'), await by('b')]).toEqual([200, 200, 429, 200]);
    await clock.advance(60_001);
    expect(await by('a')).toBe(200);
  });

  test('restricts addresses, asks for passwords and logs', async () => {
    const logged: unknown[] = [];
    const front = await fronted(
      policy({
        on_http_request: [
          // biome-ignore lint/suspicious/noTemplateCurlyInString: the policy's own placeholder
          { actions: [{ type: 'log', config: { metadata: { path: '${req.url.path}' } } }] },
          { actions: [{ type: 'restrict-ips', config: { allow: ['127.0.0.1/32'] } }] },
          { actions: [{ type: 'basic-auth', config: { credentials: ['u:p'] } }] },
        ],
      }),
      { log: (fields) => logged.push(fields) },
    );
    expect((await ask(front, 'a.edge.test', { path: '/x' })).status).toBe(401);
    expect((await ask(front, 'a.edge.test', { path: '/y', headers: basic('u:p') })).status).toBe(200);
    expect(logged).toEqual([
      { phase: 'on_http_request', path: '/x' },
      { phase: 'on_http_request', path: '/y' },
    ]);
  });

  test('closes a connection that on_tcp_connect denies', async () => {
    const front = await fronted(policy({ on_tcp_connect: [{ actions: [{ type: 'deny' }] }] }));
    await expect(ask(front, 'a.edge.test')).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});
