import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  createNgrokApi,
  createSharedRateStore,
  equals,
  type NgrokApi,
  type NgrokApiOptions,
} from '../../src/fleet/api/index.ts';
import { freePort } from '../support/free-port.ts';
import { startSandboxWorld } from '../support/sandbox-world.ts';
import { tempDir } from '../support/temp-dir.ts';

const apiFor = (url: string, key: string, more: Partial<NgrokApiOptions> = {}): NgrokApi => {
  const api = createNgrokApi({ url, key, rate: null, ...more });
  if (!api.ok) throw new Error(api.fault.message);
  return api.value;
};

const world = async (more: Partial<NgrokApiOptions> = {}) => {
  const { sandbox } = await startSandboxWorld({ rate: { limit: 100_000, windowMs: 60_000 } });
  return { sandbox, api: apiFor(sandbox.api.url, sandbox.api.key, more) };
};

const value = <T>(result: { ok: true; value: T } | { ok: false; fault: { message: string } }): T => {
  if (!result.ok) throw new Error(result.fault.message);
  return result.value;
};

const credentials = async (api: NgrokApi, count: number): Promise<void> => {
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      api.credentials.create({ acl: ['bind:*.edge.test'], description: `c ${i}` }),
    ),
  );
};

/** A server that only knows how to answer in the given way, for what the sandbox does not show. */
const stub = async (answer: (path: string, count: number) => { status: number; text: string }) => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const { status, text } = answer(request.url ?? '', seen.length);
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
};

test('makes, lists, reads, changes and removes every kind of object', async () => {
  const { api, sandbox } = await world();
  const user = value(await api.serviceUsers.create({ name: 'site-a/dev-1' }));
  expect(user).toMatchObject({ name: 'site-a/dev-1', active: true });
  expect(value(await api.serviceUsers.update(user.id, { active: false })).active).toBe(false);
  value(await api.serviceUsers.update(user.id, { active: true }));
  const credential = value(
    await api.credentials.create({
      acl: ['bind:a.edge.test'],
      owner_id: user.id,
      metadata: '{"device":"a \\"quoted\\" one"}',
    }),
  );
  expect(credential.token).toMatch(/_/);
  const again = value(
    await api.credentials.list({ filter: equals('metadata', '{"device":"a \\"quoted\\" one"}') }),
  );
  expect(again).toMatchObject([{ id: credential.id, token: null, owner_id: user.id }]);
  expect(value(await api.credentials.get(credential.id))?.acl).toEqual(['bind:a.edge.test']);
  expect(value(await api.credentials.update(credential.id, { acl: ['bind:b.edge.test'] })).acl).toEqual([
    'bind:b.edge.test',
  ]);
  expect(value(await api.credentials.remove(credential.id))).toEqual({ wasThere: true });
  expect(value(await api.credentials.remove(credential.id))).toEqual({ wasThere: false });
  expect(value(await api.credentials.get(credential.id))).toBeNull();

  const domain = value(await api.reservedDomains.create({ domain: '*.site-a.example.com' }));
  expect(domain.acme_challenge_cname_target).toMatch(/acme/);
  value(await api.reservedDomains.removeCertificatePolicy(domain.id));
  value(await api.reservedAddrs.create({ description: 'plc' }));
  value(
    await api.endpoints.create({
      url: 'https://a.edge.test',
      type: 'cloud',
      traffic_policy: 'on_http_request: []',
    }),
  );
  const vault = value(await api.vaults.create({ name: 'fleet' }));
  value(await api.vaultSecrets.create({ name: 'oauth', value: 'hidden', vault_id: vault.id }));
  expect(value(await api.vaults.secrets(vault.id))).toMatchObject([{ name: 'oauth' }]);
  const policy = value(await api.ipPolicies.create({ description: 'office' }));
  value(await api.ipPolicyRules.create({ cidr: '10.0.0.0/8', ip_policy_id: policy.id }));
  value(await api.ipRestrictions.create({ type: 'agent', enforced: false, ip_policy_ids: [policy.id] }));
  const destination = value(
    await api.eventDestinations.create({
      format: 'json',
      target: { datadog: { api_key: 'k', ddtags: '', service: 'fleet', ddsite: 'datadoghq.eu' } },
    }),
  );
  const subscription = value(
    await api.eventSubscriptions.create({
      sources: [{ type: 'agent_session_start.v0' }],
      destination_ids: [destination.id],
    }),
  );
  value(await api.eventSubscriptions.addSource(subscription.id, 'agent_session_stop.v0'));
  value(await api.eventSubscriptions.removeSource(subscription.id, 'agent_session_start.v0'));
  expect(value(await api.eventSubscriptions.get(subscription.id))?.sources).toMatchObject([
    { type: 'agent_session_stop.v0' },
  ]);
  value(await api.apiKeys.create({ description: 'the next key' }));
  value(await api.agentIngresses.create({ domain: 'connect.example.com' }));
  for (const list of [
    api.apiKeys,
    api.reservedDomains,
    api.reservedAddrs,
    api.endpoints,
    api.ipPolicies,
    api.ipPolicyRules,
    api.ipRestrictions,
    api.vaults,
    api.vaultSecrets,
    api.eventDestinations,
    api.eventSubscriptions,
    api.agentIngresses,
  ])
    expect(value<readonly object[]>(await list.list())).not.toEqual([]);
  for (const list of [api.tlsCertificates, api.certificateAuthorities, api.tunnelSessions])
    expect(value<readonly object[]>(await list.list())).toEqual([]);
  expect(sandbox.bugs).toEqual([]);
});

test('bot users are the same people by another name', async () => {
  const { api, sandbox } = await world({ users: 'bot_users' });
  const user = value(await api.serviceUsers.create({ name: 'dev-2' }));
  expect(user.id).toMatch(/^bot_/);
  expect(value(await api.serviceUsers.list())).toMatchObject([{ name: 'dev-2' }]);
  expect(value(await apiFor(sandbox.api.url, sandbox.api.key).serviceUsers.list())).toMatchObject([
    { name: 'dev-2', id: expect.stringMatching(/^service_/) as string },
  ]);
});

test.each([0, 99, 100, 101, 200, 250])('lists all of %i credentials', async (count) => {
  const { api } = await world();
  const before = value(await api.credentials.list()).length;
  await credentials(api, count);
  const all = value(await api.credentials.list());
  expect(all.length).toBe(before + count);
  expect(new Set(all.map(({ id }) => id)).size).toBe(before + count);
});

test('a page that fails in the middle fails the list', async () => {
  const { seen, url } = await stub((path) =>
    path.includes('before_id')
      ? { status: 500, text: '{"status_code":500,"msg":"broken","details":{"operation_id":"op_1"}}' }
      : {
          status: 200,
          text: JSON.stringify({
            credentials: [{ id: 'cr_1' }],
            next_page_uri: 'https://api.ngrok.com/credentials?before_id=cr_1',
          }),
        },
  );
  const list = await apiFor(url, 'k').credentials.list();
  expect(list).toMatchObject({ ok: false, fault: { code: 'API_UNAVAILABLE', operationId: 'op_1' } });
  expect(seen.length).toBe(1 + 4);
});

test('pages that lead in a circle or elsewhere end, and the key stays with the host it is for', async () => {
  const circle = await stub(() => ({
    status: 200,
    text: JSON.stringify({ credentials: [], next_page_uri: 'https://x.test/credentials?before_id=cr_1' }),
  }));
  expect((await apiFor(circle.url, 'k').credentials.list()).ok).toBe(false);
  expect(circle.seen.length).toBe(2);
  const elsewhere = await stub(() => ({
    status: 200,
    text: JSON.stringify({ credentials: [], next_page_uri: 'https://x.test/api_keys?before_id=ak_1' }),
  }));
  expect((await apiFor(elsewhere.url, 'k').credentials.list()).ok).toBe(false);
  expect(elsewhere.seen.length).toBe(1);
});

test('refusals carry the code and the operation of the service, word for word', async () => {
  const { api, sandbox } = await world();
  const refused = await api.credentials.create({ acl: ['connect:everything'] });
  expect(refused).toMatchObject({
    ok: false,
    fault: {
      code: 'API_REFUSED',
      ngrokCode: 'ERR_NGROK_600',
      status: 400,
      retryable: false,
      isUncertain: false,
    },
  });
  if (refused.ok) return;
  expect(refused.fault.operationId).toMatch(/^op_/);
  expect(refused.fault.message).toContain(refused.fault.operationId);
  const key = await apiFor(sandbox.api.url, 'ak_notakey').credentials.list();
  expect(key).toMatchObject({ ok: false, fault: { code: 'API_AUTH_REFUSED' } });
});

test('what failed is tried again; a creation only when nothing can have been done', async () => {
  const { api, sandbox } = await world();
  const [one] = [value(await api.credentials.create({ acl: ['bind:a.edge.test'] }))];
  sandbox.api.faults.failing = 2;
  expect((await api.credentials.list()).ok).toBe(true);
  sandbox.api.faults.halfClosed = 1;
  expect((await api.credentials.list()).ok).toBe(true);
  sandbox.api.faults.dropNext = 1;
  expect(value(await api.credentials.remove(one.id))).toEqual({ wasThere: false });
  const before = value(await api.credentials.list()).length;
  sandbox.api.faults.dropNext = 1;
  const lost = await api.credentials.create({ acl: ['bind:a.edge.test'] });
  expect(lost).toMatchObject({ ok: false, fault: { code: 'API_UNAVAILABLE', isUncertain: true } });
  expect(value(await api.credentials.list()).length).toBe(before + 1);
  sandbox.api.faults.failing = 1;
  expect(await api.credentials.create({ acl: ['bind:a.edge.test'] })).toMatchObject({
    ok: false,
    fault: { isUncertain: true },
  });
  sandbox.api.faults.tooMany = 1;
  sandbox.api.faults.tooManyAtOnce = 1;
  expect((await api.credentials.create({ acl: ['bind:a.edge.test'] })).ok).toBe(true);
  const nobody = apiFor(`http://127.0.0.1:${await freePort()}`, 'k');
  expect(await nobody.credentials.create({ acl: [] })).toMatchObject({
    ok: false,
    fault: { code: 'API_UNAVAILABLE', isUncertain: false },
  });
});

test('an answer that is late counts as none, one that is no JSON as a failure', async () => {
  const { sandbox } = await world();
  sandbox.api.faults.delayMs = 5000;
  const late = await apiFor(sandbox.api.url, sandbox.api.key, { timeoutMs: 30 }).serviceUsers.create({
    name: 'x',
  });
  expect(late).toMatchObject({ ok: false, fault: { code: 'API_UNAVAILABLE', isUncertain: true } });
  const page = await stub(() => ({ status: 200, text: '<html>' }));
  expect(await apiFor(page.url, 'k').credentials.list()).toMatchObject({ ok: false });
});

test('a key never leaves in clear text', () => {
  for (const url of [
    'http://api.ngrok.com',
    'http://127.0.0.1.nip.io',
    'ftp://x',
    'nonsense',
    'https://u:p@x',
  ])
    expect(createNgrokApi({ url, key: 'k' })).toMatchObject({ ok: false, fault: { code: 'BAD_ARGS' } });
  expect(createNgrokApi({ url: 'https://api.ngrok.com', key: 'k' }).ok).toBe(true);
});

test('two clients with one file stay below the limit together', async () => {
  const { sandbox } = await startSandboxWorld({ rate: { limit: 20, windowMs: 600 } });
  const dir = await tempDir('lockkeeper-rate-');
  const file = join(dir, 'rate.json');
  const clients = [1, 2].map(() =>
    apiFor(sandbox.api.url, sandbox.api.key, {
      rate: { limit: 20, windowMs: 1200 },
      rateStore: createSharedRateStore(file),
    }),
  );
  const before = sandbox.api.answered;
  const answers = await Promise.all(
    clients.flatMap((api) => Array.from({ length: 20 }, () => api.tunnelSessions.list())),
  );
  expect(answers.every(({ ok }) => ok)).toBe(true);
  // No refusal was needed: as many answers as requests.
  expect(sandbox.api.answered - before).toBe(40);
  expect(JSON.parse(await readFile(file, 'utf8'))).toHaveLength(20);
});
