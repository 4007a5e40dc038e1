import { readFileSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { type MachineMetrics, metricsText } from '../../../src/control/metrics.ts';
import { CONDITION_CODES, CONDITION_ONLY_CODES } from '../../../src/core/condition.ts';
import { endpointInStatus, statusDocumentOf } from '../../support/status-fixture.ts';

const machine: MachineMetrics = {
  loadAverage1m: 0.5,
  memoryUsed: 0.25,
  filesystemUsed: 0.5,
  temperatureC: 48,
  networkIn: 1,
  networkOut: 2,
  rssBytes: 50_000_000,
  cpuSeconds: 1.5,
  startedAtS: 1_700_000_000,
};

const lines = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

/** Names of all series as they could be, the parts of histograms too. */
const namesIn = (text: string): Set<string> =>
  new Set(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );

test('every line is a series of the text format, and every family has help and type', async () => {
  const text = await metricsText(statusDocumentOf(), machine);
  for (const line of lines(text))
    expect(line).toMatch(/^[a-z_][a-z0-9_]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+]+$/);
  expect(text.match(/^# HELP /gm)?.length).toBe(text.match(/^# TYPE /gm)?.length);
  expect(text.endsWith('\n')).toBe(true);
});

test('a histogram is cumulative and its count is its last bucket', async () => {
  const latency = {
    counts: [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3],
    sumMs: 1500,
    p50Ms: 10,
    p90Ms: 5000,
    p95Ms: 5000,
    p99Ms: 5000,
  };
  const text = await metricsText(statusDocumentOf({ endpoints: [endpointInStatus({ latency })] }), machine);
  const name = 'lockkeeper_http_server_request_duration_seconds';
  expect(text).toContain(`${name}_bucket{endpoint="web",le="0.005"} 1\n`);
  expect(text).toContain(`${name}_bucket{endpoint="web",le="0.01"} 3\n`);
  expect(text).toContain(`${name}_bucket{endpoint="web",le="+Inf"} 6\n`);
  expect(text).toContain(`${name}_sum{endpoint="web"} 1.5\n`);
  expect(text).toContain(`${name}_count{endpoint="web"} 6\n`);
});

test('whatever state the device is in, the series are the same', async () => {
  const seriesOf = (text: string): string[] =>
    lines(text).map((line) => line.slice(0, line.lastIndexOf(' ')));
  const calm = await metricsText(statusDocumentOf(), machine);
  const wild = await metricsText(
    statusDocumentOf({
      endpoints: [
        endpointInStatus({
          state: 'failed',
          requests: 9,
          leaseEndsAt: '2026-11-26T11:00:00.000Z',
          lastActiveAt: '2026-11-26T10:30:00.000Z',
          url: 'https://x.example',
        }),
      ],
      conditions: [
        {
          code: 'UPSTREAM_DOWN',
          severity: 'warning',
          since: '2026-11-26T10:00:00.000Z',
          message: 'x',
          endpoint: 'web',
        },
        { code: 'SOMETHING_NEW', severity: 'error', since: '2026-11-26T10:00:00.000Z', message: 'y' },
      ],
      session: {
        state: 'auth-failed',
        since: null,
        generation: 7,
        latencyMs: null,
        reconnects: 3,
        lastError: null,
      },
      intake: { bad_sig: 4, made_up: 2 },
    }),
    machine,
  );
  expect(seriesOf(wild)).toEqual(seriesOf(calm));
  expect(wild).toContain('lockkeeper_condition_active{code="OTHER"} 1\n');
  expect(wild).toContain('lockkeeper_endpoint_upstream_up{endpoint="web"} 0\n');
  expect(wild).toContain('lockkeeper_intake_dropped_total{reason="bad_sig"} 4\n');
});

test('every condition that a device may have is counted under its own code', async () => {
  const known = new Set<string>(CONDITION_CODES);
  for (const code of [...CONDITION_ONLY_CODES, 'BROKER_NET', 'NGROK_AUTH_REFUSED', 'UNKNOWN_POLICY'])
    expect(known.has(code), code).toBe(true);
  const made: string[] = [];
  for await (const file of glob('src/**/*.ts')) {
    if (/^src\/(sandbox|fleet|doctor)\//.test(file)) continue;
    const text = await readFile(file, 'utf8');
    for (const [, code = ''] of text.matchAll(/code: '([A-Z_]+)',\s+severity: /g)) made.push(code);
  }
  expect(made).toContain('VAULT_SEALED');
  expect(made.filter((code) => !known.has(code))).toEqual([]);
  const at = { severity: 'error', since: '2026-11-26T10:00:00.000Z', message: 'x' } as const;
  const conditions = CONDITION_CODES.map((code) => ({ code, ...at }));
  const text = await metricsText(statusDocumentOf({ conditions }), machine);
  for (const code of CONDITION_CODES)
    expect(text).toContain(`lockkeeper_condition_active{code="${code}"} 1\n`);
  expect(text).toContain('lockkeeper_condition_active{code="OTHER"} 0\n');
});

/** Words of a text that can only be metrics. */
const metricsUsed = (expression: string): string[] =>
  [...expression.matchAll(/\b(?:lockkeeper|process|system|target)_[a-z0-9_]+\b/g)].map(([name]) => name);

test.each(['docs/grafana-dashboard.json', 'docs/alerts.yml', 'docs/observability.md'])(
  'every metric that %s names is there',
  async (file) => {
    const known = namesIn(await metricsText(statusDocumentOf(), machine));
    const bases = new Set([...known].map((name) => name.replace(/_(bucket|sum|count)$/, '')));
    const text = readFileSync(file, 'utf8');
    const used = metricsUsed(text);
    expect(used.length).toBeGreaterThan(10);
    for (const name of used) expect(known.has(name) || bases.has(name), name).toBe(true);
  },
);

test('every alert has an expression, a severity and a summary', () => {
  const { groups } = parse(readFileSync('docs/alerts.yml', 'utf8')) as {
    groups: {
      rules: {
        alert: string;
        expr: string;
        labels: { severity: string };
        annotations: { summary: string };
      }[];
    }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(10);
  for (const { alert, expr, labels, annotations } of rules) {
    expect(metricsUsed(expr).length + Number(expr.startsWith('up{')), alert).toBeGreaterThan(0);
    expect(['info', 'warning', 'critical']).toContain(labels.severity);
    expect(annotations.summary).toContain('$labels.instance');
  }
  expect(rules.some(({ expr }) => expr.includes('lockkeeper_conditions{severity="error"}'))).toBe(true);
  // A rule on a code that no device has would never fire.
  const codes = rules.flatMap(({ expr }) =>
    [...expr.matchAll(/code=~?"([A-Z_|]+)"/g)].flatMap(([, all = '']) => all.split('|')),
  );
  expect(codes.length).toBeGreaterThan(0);
  expect(codes.filter((code) => !CONDITION_CODES.some((known) => known === code))).toEqual([]);
});
