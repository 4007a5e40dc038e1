import { describe, expect, test } from 'vitest';
import { MANUAL_EPOCH_MS, manualClock } from '../support/manual-clock.ts';
import { type ApiCall, startSandboxWorld } from '../support/sandbox-world.ts';

const code = (number: number) => ({ error_code: `ERR_NGROK_${number}` });
const ids = (list: unknown): unknown[] => (list as readonly { id: string }[]).map((item) => item.id);
const SOME_ID = '0'.repeat(27);

describe('the checks before a resource is reached', () => {
  test.each<[string, ApiCall & { method?: string; path?: string; body?: unknown }, number, number | null]>([
    ['no key', { headers: { authorization: undefined } }, 401, 200],
    ['another scheme', { headers: { authorization: 'Basic eA==' } }, 401, 201],
    ['a key of another form', { key: 'hello' }, 401, 202],
    ['an unknown key', { key: `${'a'.repeat(27)}_${'b'.repeat(21)}` }, 401, 203],
    ['an id of a key', { key: `ak_${SOME_ID}` }, 401, 208],
    ['no version', { headers: { 'ngrok-version': undefined } }, 400, 218],
    ['another version', { headers: { 'ngrok-version': '1' } }, 400, 217],
    ['no such path', { path: 'nothing' }, 404, null],
    ['no such method', { method: 'PUT' }, 404, null],
    [
      'a body for a GET-like call',
      { method: 'DELETE', path: `credentials/cr_${SOME_ID}`, body: {} },
      400,
      211,
    ],
    ['no content type', { method: 'POST', body: {}, headers: { 'content-type': undefined } }, 400, 216],
    [
      'another content type',
      { method: 'POST', body: {}, headers: { 'content-type': 'text/plain' } },
      415,
      210,
    ],
    ['no JSON', { method: 'POST', body: {}, raw: '{' }, 400, 213],
    ['JSON that is no object', { method: 'POST', body: [] }, 400, 213],
    ['a field of another type', { method: 'POST', body: { description: 1 } }, 400, 213],
    ['an unknown field', { method: 'POST', body: { tags: [] } }, 400, 214],
    ['a field named like an internal one', { method: 'POST', body: { problem: 'x', details: {} } }, 400, 214],
    ['an inherited name as field', { method: 'POST', body: { constructor: 1 } }, 400, 214],
    ['an unknown query', { path: 'credentials?beforeId=x' }, 400, 231],
    ['a limit of 0', { path: 'credentials?limit=0' }, 400, 233],
    ['a limit in words', { path: 'credentials?limit=ten' }, 400, 244],
    ['a filter of CEL that is not known here', { path: 'credentials?filter=size(obj.id)>1' }, 400, 250],
    ['an id with the wrong prefix', { path: `credentials/ak_${SOME_ID}` }, 400, 227],
    ['an unknown id', { path: `credentials/cr_${SOME_ID}` }, 404, null],
  ])('refuse %s', async (_what, { method = 'GET', path = 'credentials', body, ...call }, status, number) => {
    const { api } = await startSandboxWorld();
    const reply = await api(method, path, body, call);
    expect(reply).toMatchObject({ status, body: { status_code: status, msg: expect.any(String) } });
    expect(reply.body['error_code']).toBe(number === null ? undefined : `ERR_NGROK_${number}`);
    expect(reply.body['details']).toMatchObject({
      operation_id: expect.stringMatching(/^op_[0-9A-Za-z]{27}$/),
    });
  });

  test('tell an authtoken from an API key', async () => {
    const { api, sandbox } = await startSandboxWorld();
    const reply = await api('GET', 'credentials', undefined, { key: sandbox.authtokens['default'] ?? '' });
    expect(reply).toMatchObject({ status: 401, body: code(206) });
  });

  test('come in one order: key, version, rate, route, body, fields, query', async () => {
    const { api, sandbox } = await startSandboxWorld();
    const all = { raw: '{', headers: { 'ngrok-version': undefined, 'content-type': 'text/plain' } };
    sandbox.api.rate.limit = 0;
    expect((await api('POST', 'nothing?x=1', {}, { ...all, key: 'x' })).body).toMatchObject(code(202));
    expect((await api('POST', 'nothing?x=1', {}, all)).body).toMatchObject(code(218));
    const versioned = { ...all, headers: { 'content-type': 'text/plain' } };
    expect((await api('POST', 'nothing?x=1', {}, versioned)).body).toMatchObject(code(226));
    sandbox.api.rate.limit = 100;
    expect((await api('POST', 'nothing?x=1', {}, versioned)).status).toBe(404);
    expect((await api('POST', 'credentials?x=1', {}, versioned)).body).toMatchObject(code(210));
    expect((await api('POST', 'credentials?x=1', {}, { raw: '{' })).body).toMatchObject(code(213));
    expect((await api('POST', 'credentials?x=1', { y: 1 })).body).toMatchObject(code(214));
    expect((await api('POST', 'credentials?x=1', { acl: 5 })).body).toMatchObject(code(231));
  });

  test('limit the requests of an account to so many in a minute', async () => {
    const clock = manualClock(Date.now());
    const { api } = await startSandboxWorld({ clock, rate: { limit: 3, windowMs: 60_000 } });
    for (let n = 0; n < 3; n += 1) expect((await api('GET', 'credentials')).status).toBe(200);
    expect(await api('GET', 'credentials')).toMatchObject({ status: 429, body: code(226) });
    await clock.advance(60_000);
    expect((await api('GET', 'credentials')).status).toBe(200);
  });
});

describe('credentials', () => {
  test('show their token once, keep a hash, and are listed newest first, page by page', async () => {
    const { api, sandbox } = await startSandboxWorld();
    const made = await api('POST', 'credentials', {
      description: 'd',
      metadata: '{"device":"d"}',
      acl: ['bind:*.edge.test'],
    });
    const { token, id } = made.body as { token: string; id: string };
    expect(made.status).toBe(201);
    expect(id).toBe(`cr_${token.split('_')[0]}`);
    expect(sandbox.accounts.authenticate(token)).toMatchObject({ id, acl: ['bind:*.edge.test'], name: 'd' });
    const got = await api('GET', `credentials/${id}`);
    expect(got).toEqual({ status: 200, body: { ...made.body, token: null } });

    const second = await api('POST', 'credentials', {});
    const first = await api('GET', 'credentials?limit=1');
    expect(ids(first.body['credentials'])).toEqual([second.body['id']]);
    const next = first.body['next_page_uri'] as string;
    expect(next.startsWith(sandbox.api.url)).toBe(true);
    expect(ids((await api('GET', next)).body['credentials'])).toEqual([id]);
    const filter = encodeURIComponent('obj.metadata == "{\\"device\\":\\"d\\"}"');
    expect(ids((await api('GET', `credentials?filter=${filter}`)).body['credentials'])).toEqual([id]);
  });

  test.each([
    [{ acl: ['listen:x'] }, 600],
    [{ description: 'ü'.repeat(128) }, 604],
    [{ metadata: 'x'.repeat(4097) }, 605],
  ])('are refused with %j', async (body, number) => {
    const { api } = await startSandboxWorld();
    expect(await api('POST', 'credentials', body)).toMatchObject({ status: 400, body: code(number) });
    const { body: made } = await api('POST', 'credentials', {});
    expect(await api('PATCH', `credentials/${String(made['id'])}`, body)).toMatchObject({
      body: code(number),
    });
  });

  test('take patches of what may change, keep the rest, and are gone after a deletion', async () => {
    const { api } = await startSandboxWorld();
    const made = await api('POST', 'credentials', { description: 'a', metadata: 'm' });
    const path = `credentials/${String(made.body['id'])}`;
    expect((await api('PATCH', path, { description: 'b' })).body).toMatchObject({
      description: 'b',
      metadata: 'm',
    });
    expect(await api('PATCH', path, {})).toMatchObject({ status: 400, body: code(606) });
    expect(await api('PATCH', path, { owner_id: 'x' })).toMatchObject({ status: 400, body: code(214) });
    expect(await api('DELETE', path)).toEqual({ status: 204, body: {} });
    expect((await api('DELETE', path)).status).toBe(404);
    expect((await api('GET', path)).status).toBe(404);
  });

  test('belong to whom they were made for, who must exist and be active', async () => {
    const { api, sandbox } = await startSandboxWorld();
    const user = await api('POST', 'service_users', { name: 'site/dev' });
    const owner_id = user.body['id'] as string;
    const made = await api('POST', 'credentials', { owner_id });
    expect(made.body).toMatchObject({ owner_id });
    const byBot = await api('POST', 'credentials', { owner_id: owner_id.replace('service_', 'bot_') });
    expect(byBot.body).toMatchObject({ owner_id });
    expect((await api('POST', 'credentials', { owner_id: `service_${SOME_ID}` })).status).toBe(400);
    await api('PATCH', `service_users/${owner_id}`, { active: false });
    expect(await api('POST', 'credentials', { owner_id })).toMatchObject({ body: code(636) });
    expect(sandbox.accounts.authenticate(String(made.body['token']))).toMatchObject({
      code: 'ERR_NGROK_107',
    });
  });

  test('are seen by their own account only', async () => {
    const { api, sandbox } = await startSandboxWorld();
    const made = await api('POST', 'credentials', {});
    const { key } = sandbox.api.keys.add({ account: 'B' });
    expect((await api('GET', 'credentials', undefined, { key })).body['credentials']).toEqual([]);
    const path = `credentials/${String(made.body['id'])}`;
    expect((await api('DELETE', path, undefined, { key })).status).toBe(404);
  });
});

describe('service users', () => {
  test('have names of their own and are the same people as bot users', async () => {
    const { api } = await startSandboxWorld();
    const made = await api('POST', 'service_users', { name: 'a' });
    expect(made).toMatchObject({ status: 201, body: { name: 'a', active: true } });
    expect(await api('POST', 'service_users', { name: 'a' })).toMatchObject({
      status: 400,
      body: code(4112),
    });
    expect(await api('POST', 'service_users', {})).toMatchObject({ status: 400, body: code(4109) });
    const bots = (await api('GET', 'bot_users')).body['bot_users'];
    const id = String(made.body['id']).replace('service_', 'bot_');
    expect(bots).toMatchObject([{ id, name: 'a', active: true }]);
    const renamed = await api('PATCH', `bot_users/${id}`, { name: 'b', active: false });
    expect(renamed.body).toMatchObject({ name: 'b', active: false });
    expect((await api('GET', `service_users/${String(made.body['id'])}`)).body).toMatchObject({ name: 'b' });
  });

  test('take their credentials and API keys with them', async () => {
    const { api } = await startSandboxWorld();
    const user = await api('POST', 'service_users', { name: 'a' });
    const owner_id = user.body['id'];
    const key = String((await api('POST', 'api_keys', { owner_id })).body['token']);
    const credential = await api('POST', 'credentials', { owner_id });
    expect((await api('GET', 'credentials', undefined, { key })).status).toBe(200);
    expect((await api('DELETE', `service_users/${String(owner_id)}`)).status).toBe(204);
    expect(await api('GET', 'credentials', undefined, { key })).toMatchObject({
      status: 401,
      body: code(203),
    });
    expect((await api('GET', `credentials/${String(credential.body['id'])}`)).status).toBe(404);
  });

  test('and developers may neither make others nor choose an owner', async () => {
    const { api } = await startSandboxWorld();
    const user = await api('POST', 'service_users', { name: 'a' });
    const owner_id = user.body['id'];
    const key = String((await api('POST', 'api_keys', { owner_id })).body['token']);
    expect(await api('POST', 'service_users', { name: 'b' }, { key })).toMatchObject({
      status: 403,
      body: code(4111),
    });
    const other = (await api('POST', 'service_users', { name: 'c' })).body['id'];
    expect(await api('POST', 'credentials', { owner_id: other }, { key })).toMatchObject({
      status: 403,
      body: code(630),
    });
    expect((await api('POST', 'credentials', {}, { key })).body).toMatchObject({ owner_id });
  });
});

describe('reserved domains and addresses', () => {
  test('name the CNAMEs of a custom wildcard and its certificate, once it is there', async () => {
    const clock = manualClock(MANUAL_EPOCH_MS);
    const { api } = await startSandboxWorld({ clock, switches: { certificateMs: 5_000 } });
    const made = await api('POST', 'reserved_domains', { domain: '*.Site-A.example.com' });
    expect(made).toMatchObject({
      status: 201,
      body: {
        domain: '*.site-a.example.com',
        cname_target: expect.stringMatching(/\.cname\.edge\.test$/),
        acme_challenge_cname_target: expect.stringMatching(/\.acme\.edge\.test$/),
        certificate: null,
        certificate_management_policy: { authority: 'letsencrypt' },
        certificate_management_status: { provisioning_job: { error_code: null } },
      },
    });
    await clock.advance(5_000);
    const path = `reserved_domains/${String(made.body['id'])}`;
    expect((await api('GET', path)).body).toMatchObject({
      certificate: { id: expect.stringMatching(/^cert_/) },
      certificate_management_status: { provisioning_job: null },
    });
    expect((await api('DELETE', `${path}/certificate_management_policy`)).status).toBe(204);
    expect((await api('GET', path)).body).toMatchObject({ certificate_management_policy: null });
  });

  test('need no CNAME under the sandbox’s own domain', async () => {
    const { api } = await startSandboxWorld();
    const made = await api('POST', 'reserved_domains', { domain: 'a.edge.test' });
    expect(made.body).toMatchObject({ cname_target: null, acme_challenge_cname_target: null });
  });

  test.each([
    ['a.*.example.com', 402],
    ['*', 402],
    ['under_score.example.com', 403],
    ['-a.example.com', 403],
    ['https://a.example.com', 403],
  ])('refuse %s', async (domain, number) => {
    const { api } = await startSandboxWorld();
    expect(await api('POST', 'reserved_domains', { domain })).toMatchObject({
      status: 400,
      body: code(number),
    });
  });

  test('are reserved once, by one account, and held while a cloud endpoint is on them', async () => {
    const { api, sandbox } = await startSandboxWorld();
    const made = await api('POST', 'reserved_domains', { domain: '*.a.example.com' });
    expect(await api('POST', 'reserved_domains', { domain: '*.a.example.com' })).toMatchObject({
      body: code(413),
    });
    const { key } = sandbox.api.keys.add({ account: 'B' });
    const foreign = await api('POST', 'reserved_domains', { domain: '*.a.example.com' }, { key });
    expect(foreign).toMatchObject({ body: code(414) });
    const endpoint = await api('POST', 'endpoints', { type: 'cloud', url: 'https://x.a.example.com' });
    expect(endpoint.body).toMatchObject({ domain: { id: made.body['id'] } });
    const path = `reserved_domains/${String(made.body['id'])}`;
    expect(await api('DELETE', path)).toMatchObject({ status: 400, body: code(446) });
    await api('DELETE', `endpoints/${String(endpoint.body['id'])}`);
    expect((await api('DELETE', path)).status).toBe(204);
  });

  test('give TCP addresses one after the other', async () => {
    const { api } = await startSandboxWorld();
    const addrs = [
      await api('POST', 'reserved_addrs', {}),
      await api('POST', 'reserved_addrs', { description: 'd' }),
    ];
    expect(addrs.map((reply) => reply.body['addr'])).toEqual([
      '1.tcp.edge.test:20001',
      '1.tcp.edge.test:20002',
    ]);
    expect(await api('PATCH', `reserved_addrs/${String(addrs[0]?.body['id'])}`, {})).toMatchObject({
      body: code(506),
    });
  });
});

describe('cloud endpoints', () => {
  test('are made, shown, changed and deleted', async () => {
    const { api } = await startSandboxWorld();
    const made = await api('POST', 'endpoints', {
      type: 'cloud',
      url: 'https://cloud.edge.test',
      traffic_policy: 'on_http_request: []',
      metadata: 'm',
    });
    expect(made).toMatchObject({
      status: 201,
      body: {
        type: 'cloud',
        scheme: 'https',
        host: 'cloud.edge.test',
        port: 443,
        bindings: ['public'],
        pooling_enabled: false,
        metadata: 'm',
      },
    });
    const path = `endpoints/${String(made.body['id'])}`;
    expect(await api('PATCH', path, {})).toMatchObject({ body: code(18_004) });
    expect(await api('PATCH', path, { url: 'tls://cloud.edge.test' })).toMatchObject({ body: code(18_005) });
    expect((await api('PATCH', path, { traffic_policy: '{}' })).body).toMatchObject({ traffic_policy: '{}' });
    expect((await api('GET', 'endpoints?url=https://cloud.edge.test')).body['endpoints']).toHaveLength(1);
    expect((await api('GET', 'endpoints?url=https://other.edge.test')).body['endpoints']).toHaveLength(0);
    expect((await api('DELETE', path)).status).toBe(204);
  });

  test.each([
    [{ url: 'https://x.edge.test' }, 248],
    [{ url: 'https://x.edge.test', type: 'agent' }, 248],
    [{ url: 'x.edge.test', type: 'cloud' }, 249],
    [{ url: 'ftp://x.edge.test', type: 'cloud' }, 249],
    [{ url: 'https://x.edge.test/path', type: 'cloud' }, 249],
    [{ url: 'tcp://x.internal', type: 'cloud' }, 249],
    [{ url: 'https://x.edge.test', type: 'cloud', traffic_policy: '{"a":' }, 18_002],
    [{ url: 'https://x.edge.test', type: 'cloud', traffic_policy: 'just words' }, 18_002],
  ])('are refused with %j', async (body, number) => {
    const { api } = await startSandboxWorld();
    expect(await api('POST', 'endpoints', body)).toMatchObject({ status: 400, body: code(number) });
  });

  test('share a URL only when all of them are pooled', async () => {
    const { api } = await startSandboxWorld();
    const make = async (host: string, pooling_enabled: boolean) =>
      (await api('POST', 'endpoints', { type: 'cloud', url: `https://${host}`, pooling_enabled })).body;
    await make('alone.edge.test', false);
    expect(await make('alone.edge.test', false)).toMatchObject(code(18_009));
    expect(await make('alone.edge.test', true)).toMatchObject(code(18_016));
    await make('pool.edge.test', true);
    expect(await make('pool.edge.test', true)).toMatchObject({ pooling_enabled: true });
    expect(await make('pool.edge.test', false)).toMatchObject(code(18_017));
  });

  test('with an internal name have the internal binding', async () => {
    const { api } = await startSandboxWorld();
    const url = 'https://x.site.internal';
    expect((await api('POST', 'endpoints', { type: 'cloud', url })).body).toMatchObject({
      bindings: ['internal'],
    });
    expect((await api('POST', 'endpoints', { type: 'cloud', url, bindings: ['public'] })).status).toBe(400);
  });
});

describe('the plain resources', () => {
  test('IP policies, rules and restrictions refer to one another', async () => {
    const { api } = await startSandboxWorld();
    const policy = (await api('POST', 'ip_policies', { description: 'office' })).body['id'];
    const rule = await api('POST', 'ip_policy_rules', { ip_policy_id: policy, cidr: '10.0.0.0/8' });
    expect(rule).toMatchObject({ status: 201, body: { action: 'allow', ip_policy: { id: policy } } });
    expect(rule.body).not.toHaveProperty('ip_policy_id');
    expect((await api('POST', 'ip_policy_rules', { ip_policy_id: policy, cidr: '10.0.0.0/33' })).status).toBe(
      400,
    );
    expect((await api('POST', 'ip_policy_rules', { ip_policy_id: policy })).status).toBe(400);
    expect(await api('POST', 'ip_policy_rules', { ip_policy_id: 'cr_1', cidr: '::/0' })).toMatchObject({
      body: code(227),
    });
    const unknown = { ip_policy_id: `ipp_${SOME_ID}`, cidr: '::/0' };
    expect((await api('POST', 'ip_policy_rules', unknown)).status).toBe(404);
    const restriction = await api('POST', 'ip_restrictions', { type: 'agent', ip_policy_ids: [policy] });
    expect(restriction.body).toMatchObject({ enforced: false, ip_policies: [{ id: policy }] });
    expect((await api('POST', 'ip_restrictions', { type: 'moon', ip_policy_ids: [] })).status).toBe(400);
  });

  test('a vault’s secrets never come back', async () => {
    const { api } = await startSandboxWorld();
    const vault = (await api('POST', 'vaults', { name: 'v' })).body['id'];
    const made = await api('POST', 'vault_secrets', { name: 's', value: 'hidden', vault_name: 'v' });
    expect(made).toMatchObject({ status: 201, body: { name: 's', vault: { id: vault } } });
    const changed = await api('PATCH', `vault_secrets/${String(made.body['id'])}`, { value: 'hidden too' });
    const listed = await api('GET', `vaults/${String(vault)}/secrets`);
    expect(ids(listed.body['secrets'])).toEqual([made.body['id']]);
    expect(JSON.stringify([made, changed, listed])).not.toContain('hidden');
    expect((await api('DELETE', `vaults/${String(vault)}`)).status).toBe(400);
    await api('DELETE', `vault_secrets/${String(made.body['id'])}`);
    expect((await api('DELETE', `vaults/${String(vault)}`)).status).toBe(204);
  });

  test('events need one target and known sources', async () => {
    const { api } = await startSandboxWorld();
    const datadog = { api_key: 'k', service: 'fleet' };
    const bad = [
      [{ format: 'xml', target: { datadog } }, 235],
      [{ format: 'json', target: {} }, 236],
      [{ format: 'json', target: { datadog, kinesis: { auth: { role: {} } } } }, 236],
      [{ format: 'json', target: { kinesis: { stream_arn: 'a' } } }, 240],
    ] as const;
    for (const [body, number] of bad) {
      expect(await api('POST', 'event_destinations', body)).toMatchObject({
        status: 400,
        body: code(number),
      });
    }
    const made = await api('POST', 'event_destinations', { format: 'JSON', target: { datadog } });
    expect(made.body).toMatchObject({ format: 'json', target: { datadog, kinesis: null } });
    const destination = String(made.body['id']);
    const wrong = { sources: [{ type: 'endpoint_created.v0' }], destination_ids: [destination] };
    expect(await api('POST', 'event_subscriptions', wrong)).toMatchObject({ body: code(238) });
    const subscription = await api('POST', 'event_subscriptions', {
      sources: [{ type: 'agent_session_start.v0' }],
      destination_ids: [destination],
    });
    expect(subscription.body).toMatchObject({ destinations: [{ id: destination }] });
    const path = `event_subscriptions/${String(subscription.body['id'])}`;
    expect((await api('DELETE', `event_destinations/${destination}`)).status).toBe(400);

    expect((await api('POST', `${path}/sources`, { type: 'agent_session_stop.v0' })).status).toBe(201);
    expect((await api('DELETE', `${path}/sources/agent_session_start.v0`)).status).toBe(204);
    expect((await api('GET', `${path}/sources/agent_session_start.v0`)).status).toBe(404);
    const sources = (await api('GET', `${path}/sources`)).body['sources'];
    expect(sources).toMatchObject([{ type: 'agent_session_stop.v0' }]);
    await api('DELETE', path);
    expect((await api('DELETE', `event_destinations/${destination}`)).status).toBe(204);
  });

  test('certificates and authorities are read, their keys forgotten', async () => {
    const { api, sandbox } = await startSandboxWorld();
    const { readFile } = await import('node:fs/promises');
    const pem = await readFile(sandbox.line.caFile, 'utf8');
    const authority = await api('POST', 'certificate_authorities', { ca_pem: pem });
    expect(authority.body).toMatchObject({
      subject_common_name: 'Lockkeeper sandbox authority',
      ca_pem: pem,
    });
    expect((await api('POST', 'certificate_authorities', { ca_pem: 'x' })).status).toBe(400);
    const certificate = await api('POST', 'tls_certificates', {
      certificate_pem: pem,
      private_key_pem: 'SECRET',
    });
    expect(JSON.stringify(certificate.body)).not.toContain('SECRET');
    const domain = { domain: 'a.example.com', certificate_id: certificate.body['id'] };
    expect((await api('POST', 'reserved_domains', domain)).body).toMatchObject({
      certificate: { id: certificate.body['id'] },
    });
    expect((await api('DELETE', `tls_certificates/${String(certificate.body['id'])}`)).status).toBe(400);
    const ingress = await api('POST', 'agent_ingresses', { domain: 'tunnel.example.com' });
    expect(ingress).toMatchObject({ status: 201, body: { domain: 'tunnel.example.com' } });
  });

  test('record what was done as audit events', async () => {
    const { api, sandbox } = await startSandboxWorld();
    const made = await api('POST', 'credentials', {});
    await api('DELETE', `credentials/${String(made.body['id'])}`);
    expect(sandbox.api.events.list.map((event) => event.event_type)).toEqual([
      'tunnel_credential_created.v0',
      'tunnel_credential_deleted.v0',
    ]);
    expect(JSON.stringify(sandbox.api.events.list)).not.toContain(String(made.body['token']));
  });
});

describe('faults', () => {
  test('lose an answer after the work was done', async () => {
    const { api, fault } = await startSandboxWorld();
    await fault({ op: 'api', dropNext: 1 });
    await expect(api('POST', 'service_users', { name: 'a' })).rejects.toThrow();
    expect(await api('POST', 'service_users', { name: 'a' })).toMatchObject({ body: code(4112) });
    await fault({ op: 'api', dropEvery: 1 });
    await expect(api('GET', 'credentials')).rejects.toThrow();
    await fault({ op: 'api', reset: true });
    expect((await api('GET', 'credentials')).status).toBe(200);
  });

  test('refuse or fail before anything was done', async () => {
    const { api, fault } = await startSandboxWorld();
    await fault({ op: 'api', tooMany: 1, failing: 1 });
    expect(await api('POST', 'service_users', { name: 'a' })).toMatchObject({ status: 500 });
    expect(await api('POST', 'service_users', { name: 'a' })).toMatchObject({ status: 429, body: code(226) });
    await fault({ op: 'api', tooManyAtOnce: 1 });
    expect(await api('POST', 'service_users', { name: 'a' })).toMatchObject({ status: 429, body: code(225) });
    expect((await api('POST', 'service_users', { name: 'a' })).status).toBe(201);
  });

  test('end an answer in the middle of its body', async () => {
    const { api, fault } = await startSandboxWorld();
    await fault({ op: 'api', halfClosed: 1 });
    await expect(api('GET', 'credentials')).rejects.toThrow();
    expect((await api('GET', 'credentials')).status).toBe(200);
  });

  test('hold answers back, which does not keep the sandbox from closing', async () => {
    const clock = manualClock(Date.now());
    const { api, fault } = await startSandboxWorld({ clock });
    await fault({ op: 'api', delayMs: 5_000 });
    let isAnswered = false;
    const slow = api('GET', 'credentials').then((reply) => {
      isAnswered = true;
      return reply;
    });
    await expect.poll(() => clock.nextInMs).toBe(5_000);
    expect(isAnswered).toBe(false);
    await clock.advance(5_000);
    expect((await slow).status).toBe(200);
    api('GET', 'credentials').catch(() => undefined);
    await expect.poll(() => clock.pending).toBeGreaterThan(0);
  });
});
