import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createNgrokApi, type NgrokApi } from '../../src/fleet/api/index.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { auditOf } from '../support/fleet-world.ts';
import { makeOperator, type Operator } from '../support/operator.ts';
import { startSandboxWorld } from '../support/sandbox-world.ts';
import { runNode } from '../support/spawn-node.ts';

const world = async (certificateMs = 0) => {
  const { sandbox } = await startSandboxWorld({
    rate: { limit: 1_000_000, windowMs: 60_000 },
    switches: { certificateMs },
  });
  const made = createNgrokApi({ url: sandbox.line.api.url, key: sandbox.line.api.key, rate: null });
  if (!made.ok) throw new Error(made.fault.message);
  const operator = await makeOperator(sandbox.line.broker.url, 'broker', sandbox.line.api);
  return { sandbox, api: made.value, operator };
};

const list = async (
  api: NgrokApi,
  what: 'serviceUsers' | 'reservedDomains' | 'reservedAddrs' | 'endpoints',
) => {
  const all = await api[what].list();
  if (!all.ok) throw new Error(all.fault.message);
  const items: readonly object[] = all.value;
  return items as readonly Readonly<Record<string, unknown>>[];
};

interface SiteJson {
  readonly ready: boolean;
  readonly cnames: readonly { readonly name: string; readonly target: string; readonly state: string }[];
  readonly certificate: { readonly state: string };
  readonly changes: number;
}

const site = async (operator: Operator, ...args: string[]): Promise<[number | null, SiteJson]> => {
  const { code, body } = await operator.json(['site', ...args]);
  return [code, body as unknown as SiteJson];
};

test('a site is made once, its two CNAMEs are told and checked, and it waits until it is ready', async () => {
  const { api, operator } = await world();
  const dns = await startDnsServer();
  const args = ['create', 'site-a', '--domain', '*.site-a.example.com', '--resolver', dns.address];
  const [code, made] = await site(operator, ...args);
  expect(code).toBe(0);
  expect(made).toMatchObject({
    ready: false,
    changes: 2,
    acl: ['bind:*.site-a.example.com', 'bind:*.site-a.internal'],
  });
  expect(made.cnames.map(({ name, state }) => [name, state])).toEqual([
    ['*.site-a.example.com', 'missing'],
    ['_acme-challenge.site-a.example.com', 'missing'],
  ]);
  expect(made.certificate.state).toBe('ready');
  const [late] = await site(operator, 'show', 'site-a', '--resolver', dns.address, '--wait', '1s');
  expect(late).toBe(75);

  const [wild, acme] = made.cnames;
  dns.cnames.set('*.site-a.example.com', 'elsewhere.example');
  dns.cnames.set('_acme-challenge.site-a.example.com', acme?.target ?? '');
  const [, wrong] = await site(operator, 'show', 'site-a', '--resolver', dns.address);
  expect(wrong.cnames.map(({ state }) => state)).toEqual(['wrong', 'ok']);
  dns.cnames.set('*.site-a.example.com', `${wild?.target.toUpperCase() ?? ''}`);
  const [ready, shown] = await site(operator, 'show', 'site-a', '--resolver', dns.address, '--wait', '10s');
  expect([ready, shown.ready]).toEqual([0, true]);

  // Once more nothing is made, and what differs is changed.
  const [, again] = await site(operator, ...args);
  expect(again.changes).toBe(0);
  const [, wider] = await site(operator, ...args, '--acl', 'bind:*.site-a.example.com');
  expect(wider).toMatchObject({ changes: 1, acl: ['bind:*.site-a.example.com'] });
  expect((await list(api, 'serviceUsers')).map(({ name }) => name)).toEqual(['site-a']);
  expect(await list(api, 'reservedDomains')).toHaveLength(1);
  const audit = (await auditOf(operator.dir)).map(({ what }) => what);
  expect(audit).toEqual(['user.create', 'domain.create', 'domain.update']);
});

test('a certificate that is being made is not ready, and a site without the DNS is not asked', async () => {
  const { operator } = await world(3_600_000);
  const [code, made] = await site(
    operator,
    'create',
    'site-b',
    '--domain',
    '*.site-b.example.com',
    '--no-dns',
  );
  expect([code, made.ready, made.certificate.state]).toEqual([0, false, 'provisioning']);
  expect(made.cnames.map(({ state }) => state)).toEqual(['unknown', 'unknown']);
});

const FILE = `
site: site-a
domain: "*.site-a.example.com"
acl: ["bind:*.site-a.example.com"]
policy: |
  on_http_request:
    - actions: [{ type: deny }]
addresses: [plc]
endpoints:
  - url: https://api.site-a.example.com
    description: the way in
    policy: |
      on_http_request:
        - actions:
            - type: restrict-ips
              config: { enforce: true, allow: ["10.0.0.0/8"] }
        - actions: [{ type: forward-internal, config: { url: "https://api.site-a.internal" } }]
`;

test('plan shows what apply then does; applied, there is nothing left to change', async () => {
  const { api, operator } = await world();
  const file = join(operator.dir, 'site.yml');
  await writeFile(file, FILE);
  const plan = await operator.run(['site', 'plan', file]);
  expect(plan.stderr).toBe('');
  expect(plan.stdout.split('\n')).toEqual([
    '+ user site-a',
    '+ domain *.site-a.example.com',
    '+ address plc',
    '+ endpoint https://api.site-a.example.com',
    '',
  ]);
  expect(await list(api, 'reservedDomains')).toEqual([]);
  expect((await operator.run(['site', 'apply', file])).code).toBe(0);
  expect((await operator.run(['site', 'plan', file])).stdout).toBe('nothing to change\n');
  expect(await list(api, 'endpoints')).toMatchObject([
    { url: 'https://api.site-a.example.com', type: 'cloud' },
  ]);
  expect(await list(api, 'reservedAddrs')).toHaveLength(1);

  // A changed policy is shown by its lines; the same policy in JSON is no change.
  const json = FILE.replace(
    /policy: \|\n {2}on_http_request:\n.*deny \}\]/,
    `policy: '{"on_http_request":[{"actions":[{"type":"deny"}]}]}'`,
  );
  await writeFile(file, json);
  expect((await operator.run(['site', 'plan', file])).stdout).toBe('nothing to change\n');
  await writeFile(
    file,
    FILE.replace('10.0.0.0/8', '192.168.0.0/16').replace('addresses: [plc]', 'addresses: []'),
  );
  const changed = await operator.run(['site', 'plan', file]);
  expect(changed.stdout).toContain('~ endpoint https://api.site-a.example.com\n    policy:\n');
  expect(changed.stdout).toMatch(/^ {6}- .*10\.0\.0\.0\/8.*\n {6}\+ .*192\.168/m);
  expect(changed.stdout).toContain('address plc is not in the file; --prune deletes it');
  expect((await operator.run(['site', 'apply', file, '--prune'])).code).toBe(0);
  expect(await list(api, 'reservedAddrs')).toEqual([]);
  expect((await list(api, 'endpoints'))[0]?.['traffic_policy']).toContain('192.168.0.0/16');
});

test('an apply that failed in the middle goes on where it was, and lost answers make nothing twice', async () => {
  const { api, operator, sandbox } = await world();
  const file = join(operator.dir, 'site.yml');
  await writeFile(file, FILE);
  sandbox.api.faults.dropEvery = 3;
  for (let i = 0; i < 4 && (await operator.run(['site', 'apply', file])).code !== 0; i += 1);
  sandbox.api.faults.dropEvery = 0;
  expect((await operator.run(['site', 'plan', file])).stdout).toBe('nothing to change\n');
  for (const what of ['serviceUsers', 'reservedDomains', 'reservedAddrs', 'endpoints'] as const)
    expect(await list(api, what)).toHaveLength(1);
});

test('delete refuses while devices have credentials; with --force it takes everything', async () => {
  const { api, operator } = await world();
  const file = join(operator.dir, 'site.yml');
  await writeFile(file, FILE);
  expect((await operator.run(['site', 'apply', file])).code).toBe(0);
  const config = join(operator.dir, 'config.json');
  await writeFile(
    config,
    JSON.stringify({
      device: { id: 'press-7', tenant: 'acme' },
      stateDir: join(operator.dir, 's'),
      mqtt: { url: 'mqtt://127.0.0.1:1' },
      trust: { mode: 'broker' },
    }),
  );
  const key = join(operator.dir, 'key.json');
  await writeFile(key, (await runNode('src/lockkeeperd.ts', ['--init', '--config', config])).stdout);
  const enrolled = await operator.json([
    ...['enroll', 'press-7', '--site', 'site-a', '--device-key', key, '--out', join(operator.dir, 'b')],
  ]);
  expect(enrolled.body).toMatchObject({ acl: ['bind:*.site-a.example.com'] });
  const refused = await operator.run(['site', 'delete', 'site-a']);
  expect([refused.code, refused.stderr.includes('press-7')]).toEqual([64, true]);
  const gone = await operator.run(['site', 'delete', 'site-a', '--force']);
  expect(gone.stderr).toBe('');
  expect(gone.code).toBe(0);
  for (const what of ['serviceUsers', 'reservedDomains', 'reservedAddrs', 'endpoints'] as const)
    expect(await list(api, what)).toEqual([]);
  expect((await operator.run(['site', 'delete', 'site-a'])).code).toBe(64);
});

test('mistakes in a file are named with their place', async () => {
  const { operator } = await world();
  const file = join(operator.dir, 'site.yml');
  const plan = async (text: string): Promise<string> => {
    await writeFile(file, text);
    const { code, stderr } = await operator.run(['site', 'plan', file]);
    expect(code).toBe(64);
    return stderr;
  };
  expect(await plan('site: [')).toMatch(/line \d/);
  expect(await plan('- a')).toContain('must hold a mapping');
  expect(await plan(FILE.replace('domain:', 'domian:'))).toContain('site.yml: must have domain');
  expect(await plan(FILE.replace('"*.site-a.example.com"', '"a.*.example.com"'))).toContain('no domain');
  expect(await plan(FILE.replace('["bind:*.site-a.example.com"]', '[]'))).toContain('ACL is empty');
  expect(await plan(FILE.replace('description: the way in', 'policyFile: other.yml'))).toContain(
    'one of them',
  );
});

test('the domain of another site is not taken', async () => {
  const { operator } = await world();
  await site(operator, 'create', 'site-a', '--domain', '*.shop.example.com', '--no-dns');
  const other = await operator.run([
    'site',
    'create',
    'site-b',
    '--domain',
    '*.shop.example.com',
    '--no-dns',
  ]);
  expect([other.code, other.stderr.includes('acme/site-a')]).toEqual([64, true]);
});
