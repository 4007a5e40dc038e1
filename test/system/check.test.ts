import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BENCH_CONFIG } from '../support/config-fixture.ts';
import { type Exit, runNode } from '../support/spawn-node.ts';
import { tempDir } from '../support/temp-dir.ts';

/** Writes files into a folder of their own and runs `lockkeeperd --check` on the first. */
const check = async (
  files: Readonly<Record<string, string | object>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Exit & { readonly firstLine: string; readonly file: string }> => {
  const dir = await tempDir();
  const written = Object.entries(files).map(([name, text]) => ({
    path: join(dir, name),
    text: typeof text === 'string' ? text : JSON.stringify(text),
  }));
  await mkdir(dir, { recursive: true });
  for (const { path, text } of written) await writeFile(path, text);
  const file = written[0]?.path ?? '';
  const ended = await runNode('src/lockkeeperd.ts', ['--check', '--config', file], { env });
  return { ...ended, file, firstLine: ended.stderr.split('\n')[0] ?? '' };
};

const full = {
  ...BENCH_CONFIG,
  mqtt: { ...BENCH_CONFIG.mqtt, username: 'press' },
  log: { level: 'warn' },
  report: { healthS: 60 },
};

test('prints for a file with byte order mark and CRLF what it prints for the plain one', async () => {
  const plain = `${JSON.stringify(full, null, 2)}\n`;
  const one = await check({ 'config.json': plain });
  const other = await check({ 'config.json': `\uFEFF${plain.replaceAll('\n', '\r\n')}` });
  expect(one.code).toBe(0);
  expect(JSON.parse(one.stdout)).toMatchObject({ device: { id: 'press-7' }, report: { healthS: 60 } });
  expect({ ...other, file: '' }).toEqual({ ...one, file: '' });
});

test('takes keys file and policies with byte order mark and CRLF', async () => {
  const { code, stderr } = await check({
    'config.json': { ...full, trust: { keysFile: 'keys.json' }, policies: { office: 'office.yml' } },
    'keys.json': '\uFEFF{\r\n"v":1}',
    'office.yml': '\uFEFFon_http_request: []\r\n',
  });
  expect(`${stderr}${code}`).toMatch(/0$/);
});

test('ends with 78 and names file, line and column of broken JSON', async () => {
  const { code, firstLine, file, stdout } = await check({ 'config.json': '{\n  "device": {,}\n}\n' });
  expect(code).toBe(78);
  expect(stdout).toBe('');
  expect(firstLine).toContain(`${file} is not JSON: line 2, column 14`);
});

test('keeps what the file says where variables are empty', async () => {
  const plain = await check({ 'config.json': full });
  const { code, stdout } = await check(
    { 'config.json': full },
    { LOCKKEEPER_MQTT_USERNAME: '', LOCKKEEPER_LOG_LEVEL: '', LOCKKEEPER_REPORT_HEALTHS: '' },
  );
  expect(code).toBe(0);
  // Paths count from each file's own folder; nothing here is a relative one.
  expect(stdout).toBe(plain.stdout);
});

test('names key and variable when an empty variable is the only source of a required key', async () => {
  const { code, firstLine } = await check(
    { 'config.json': { ...full, device: { tenant: 'acme' } } },
    { LOCKKEEPER_DEVICE_ID: '' },
  );
  expect(code).toBe(78);
  expect(firstLine).toMatch(/device\.id .*LOCKKEEPER_DEVICE_ID/);
});

test.each(['3001', 3001, 'localhost:3001', '127.0.0.1', 'http://:3001', 'http://::1:3001'])(
  'ends with 78 for the upstream %j and shows the form wanted',
  async (url) => {
    const { code, firstLine } = await check({ 'config.json': { ...full, upstreams: { hmi: { url } } } });
    expect(code).toBe(78);
    expect(firstLine).toContain('upstreams.hmi.url');
    expect(firstLine).toContain('http://127.0.0.1:8080');
  },
);

test('takes an IPv6 upstream in brackets', async () => {
  const { code, stdout } = await check({
    'config.json': { ...full, upstreams: { hmi: { url: 'http://[::1]:3001' } } },
  });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ upstreams: { hmi: { url: 'http://[::1]:3001' } } });
});

test('shows a host name in lower case', async () => {
  const endpoints = [{ name: 'web', proto: 'http', upstream: 'hmi', url: 'https://Press-7.Site-A.Example' }];
  const { code, stdout } = await check({ 'config.json': { ...full, endpoints } });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ endpoints: [{ url: 'https://press-7.site-a.example' }] });
});

test('ends with 78 when broker trust meets a public broker', async () => {
  const { code, firstLine } = await check({
    'config.json': { ...full, mqtt: { url: 'mqtts://203.0.113.9' } },
  });
  expect(code).toBe(78);
  expect(firstLine).toContain('trust.mode cannot be broker');
});

test('ends with 78 when the file does not exist', async () => {
  const ended = await runNode('src/lockkeeperd.ts', ['--check', '--config', '/nonexistent/config.json']);
  expect(ended.code).toBe(78);
  expect(ended.stderr).toContain('/nonexistent/config.json does not exist');
});

test('ends with 64 without --config', async () => {
  expect((await runNode('src/lockkeeperd.ts', ['--check'])).code).toBe(64);
});
