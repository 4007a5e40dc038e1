import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createNgrokApi } from '../../src/fleet/api/index.ts';
import { auditOf } from '../support/fleet-world.ts';
import { makeOperator } from '../support/operator.ts';
import { startSandboxWorld } from '../support/sandbox-world.ts';

interface Changes {
  readonly changes: readonly {
    readonly what: string;
    readonly url: string;
    readonly diff: readonly string[];
  }[];
}

const world = async () => {
  const { sandbox } = await startSandboxWorld({ rate: { limit: 1_000_000, windowMs: 60_000 } });
  const { line } = sandbox;
  const made = createNgrokApi({ url: line.api.url, key: line.api.key, rate: null });
  if (!made.ok) throw new Error(made.fault.message);
  const domain = await made.value.reservedDomains.create({ domain: '*.edge.test' });
  if (!domain.ok) throw new Error(domain.fault.message);
  const operator = await makeOperator(line.broker.url, 'broker', line.api);
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(operator.dir, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const cloud = async () => {
    const listed = await made.value.endpoints.list();
    if (!listed.ok) throw new Error(listed.fault.message);
    return listed.value.filter(({ type }) => type === 'cloud');
  };
  return { api: made.value, operator, file, cloud };
};

test('a device is exposed, its policy changed for the fleet with a diff, and taken away again', async () => {
  const w = await world();
  const guard = await w.file(
    'guard.yml',
    'on_tcp_connect:\n  - actions:\n      - type: restrict-ips\n        config: { enforce: true, allow: [192.0.2.0/24] }\n',
  );
  const expose = [
    'expose',
    'press-7',
    'web',
    '--url',
    'https://press-7.edge.test',
    '--target',
    'https://press-7.internal',
  ];
  const changes = async (args: readonly string[]) => {
    const { code, body } = await w.operator.json(args);
    return { code, what: (body as unknown as Changes).changes.map(({ what }) => what) };
  };
  expect(await changes([...expose, '--policy', guard, '--dry-run'])).toEqual({ code: 0, what: ['create'] });
  expect(await w.cloud()).toEqual([]);
  expect(await changes([...expose, '--policy', guard])).toEqual({ code: 0, what: ['create'] });
  expect(await changes([...expose, '--policy', guard])).toEqual({ code: 0, what: ['keep'] });
  const [made] = await w.cloud();
  expect(made?.url).toContain('press-7.edge.test');
  expect(made?.traffic_policy).toMatch(
    /restrict-ips[\s\S]*forward-internal[\s\S]*https:\/\/press-7\.internal[\s\S]*503/,
  );

  const wider = await w.file(
    'wider.yml',
    'on_tcp_connect:\n  - actions:\n      - type: restrict-ips\n        config: { enforce: true, allow: [192.0.2.0/24, 198.51.100.0/24] }\n',
  );
  const applied = await w.operator.run(['policy', 'apply', wider, '--fleet']);
  expect([applied.code, applied.stdout.split('\n').filter((text) => /^ {2}[+-]/.test(text))]).toEqual([
    0,
    ['  +            - 198.51.100.0/24'],
  ]);
  expect((await w.cloud())[0]?.traffic_policy).toMatch(
    /198\.51\.100\.0\/24[\s\S]*https:\/\/press-7\.internal/,
  );

  // What keeps nobody out is not applied.
  const late = await w.file(
    'late.yml',
    'on_http_request:\n  - actions:\n      - { type: forward-internal, config: { url: "https://press-7.internal" } }\n      - { type: restrict-ips, config: { allow: [192.0.2.0/24] } }\n',
  );
  const refused = await w.operator.run(['policy', 'apply', late, '--fleet']);
  expect([refused.code, refused.stderr.includes('keeps nobody out')]).toEqual([64, true]);
  const linted = await w.operator.run(['policy', 'lint', late]);
  expect([linted.code, linted.stdout.includes('GUARD_TOO_LATE')]).toEqual([1, true]);

  // Another device does not take the name by mistake.
  const other = await w.operator.run([
    'expose',
    'press-8',
    'web',
    '--url',
    'https://press-7.edge.test',
    '--target',
    'https://press-8.internal',
    '--policy',
    guard,
  ]);
  expect([other.code, other.stderr.includes('--take-over')]).toEqual([64, true]);
  expect(await changes([...expose, '--remove'])).toEqual({ code: 0, what: ['delete'] });
  expect(await w.cloud()).toEqual([]);
  expect((await auditOf(w.operator.dir)).map(({ what }) => what)).toEqual([
    'endpoint.create',
    'endpoint.update',
    'endpoint.delete',
  ]);
});

test('events are set up once, corrected when the wish changes, and no key is shown', async () => {
  const w = await world();
  const target = await w.file(
    'datadog.json',
    '{"api_key":"dd-secret","service":"fleet","ddtags":"","ddsite":"datadoghq.eu"}',
  );
  const setup = async (...args: string[]) => {
    const { code, body } = await w.operator.json(['events', 'setup', ...args]);
    expect(JSON.stringify(body)).not.toContain('dd-secret');
    return {
      code,
      destination: body['destination'],
      subscription: body['subscription'],
      add: (body['add'] as unknown[] | undefined)?.length,
    };
  };
  const missing = await w.operator.run(['events', 'setup']);
  expect([missing.code, missing.stderr.includes('--to and --target-file')]).toEqual([64, true]);
  const to = ['--to', 'datadog', '--target-file', target];
  expect(await setup(...to)).toEqual({ code: 0, destination: 'create', subscription: 'create', add: 5 });
  expect(await setup()).toEqual({ code: 0, destination: 'keep', subscription: 'keep', add: 0 });
  expect(await setup('--audit', '--dry-run')).toMatchObject({ subscription: 'update' });
  expect(await setup('--audit')).toMatchObject({ destination: 'keep', subscription: 'update' });
  const subscriptions = await w.api.eventSubscriptions.list();
  if (!subscriptions.ok) throw new Error(subscriptions.fault.message);
  expect(subscriptions.value).toHaveLength(1);
  const types = subscriptions.value[0]?.sources.map(({ type }) => type) ?? [];
  expect(types).toEqual(
    expect.arrayContaining(['agent_session_stop.v0', 'tunnel_credential_deleted.v0', 'domain_created.v0']),
  );
  expect(await setup()).toMatchObject({ subscription: 'update', add: 0 });
});

test('lint looks at the policy, the configurations of devices and runbooks, and ends with 1 only for errors', async () => {
  const w = await world();
  const policy = await w.file(
    'guard.yml',
    'on_http_request:\n  - actions:\n      - { type: restrict-ips, config: { allow: [192.0.2.0/24] } }\n      - { type: forward-internal, config: { url: "https://a.internal" } }\n',
  );
  const config = (upstream: string) =>
    JSON.stringify({
      upstreams: { hmi: { url: upstream } },
      endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', url: 'https://a.internal' }],
    });
  const right = await w.file('right.json', config('http://192.168.7.2:80'));
  const guessed = await w.file('guessed.json', config('http://192.168.7.2'));
  const agentApi = await w.file('agent.json', config('http://127.0.0.1:4040'));
  const good = await w.file(
    'good.sh',
    `curl -H 'Ngrok-Version: 2' -d '{"acl":["bind:a.internal"]}' https://api.ngrok.com/credentials\ncurl http://127.0.0.1:4040/api/endpoints\n`,
  );
  const bad = await w.file(
    'bad.sh',
    `curl -d '{"owner_id":"service_2x"}' https://api.ngrok.com/credentials\ncurl http://127.0.0.1:4040/api/tunnel\n`,
  );
  const lint = async (...args: string[]) => {
    const { code, body } = await w.operator.json(['policy', 'lint', policy, ...args]);
    return [code, (body['findings'] as { readonly code: string }[]).map((finding) => finding.code)];
  };
  expect(await lint('--config', right, '--script', good)).toEqual([0, []]);
  expect(await lint('--config', guessed)).toEqual([0, ['UPSTREAM_PORT']]);
  expect(await lint('--config', agentApi)).toEqual([1, ['LOCAL_API']]);
  expect(await lint('--internal', 'https://b.internal')).toEqual([1, ['FORWARD_TARGET']]);
  expect(await lint('--script', good, '--script', bad)).toEqual([
    1,
    ['API_VERSION', 'TOKEN_UNRESTRICTED', 'AGENT_API_PATH'],
  ]);
  const missing = await w.operator.run(['policy', 'lint', policy, '--script', `${good}.not`]);
  expect([missing.code, missing.stderr.includes('good.sh.not cannot be read')]).toEqual([64, true]);
});
