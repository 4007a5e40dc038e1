import { expect, test } from 'vitest';
import { formatConfig } from '../../../src/config/check.ts';
import { BENCH_CONFIG, type Given, load, loadBad, loadGood } from '../../support/config-fixture.ts';

const FILE = '/etc/lockkeeper/config.json';
const SECRET = '2abcdefghijklmnopqrstuvwxyZ_4aBcDeFgHiJkLmNoPqRsT';

const shown = async (given: Given): Promise<string> => formatConfig((await loadGood(given)).config);

test('fills in every default', async () => {
  const { config } = await loadGood({});
  expect(config.stateDir).toBe('/var/lib/lockkeeper');
  expect(config.lockFile).toBe('/var/lib/lockkeeper/lock');
  expect(config.mqtt.protocol).toBe('auto');
  expect(config.report).toEqual({ healthS: 300, connEvents: 'summary', probeS: 0 });
  expect(config.upstreams['hmi']).toEqual({
    url: 'http://127.0.0.1:8080',
    verify: true,
    caFile: '',
    serverName: '',
    check: null,
  });
});

test('freezes what it gives, to the bottom', async () => {
  const { config } = await loadGood({});
  expect(Object.isFrozen(config.upstreams['hmi'])).toBe(true);
});

test('reads a file with a byte order mark and CRLF as the plain one', async () => {
  const text = JSON.stringify(BENCH_CONFIG, null, 2);
  const windows = `\uFEFF${text.replaceAll('\n', '\r\n')}`;
  expect(await shown({ config: windows })).toBe(await shown({ config: text }));
});

test('reads keys file and policies with a byte order mark and CRLF', async () => {
  const { config, policyTexts } = await loadGood({
    config: { ...BENCH_CONFIG, trust: { keysFile: 'keys.json' }, policies: { office: 'office.yml' } },
    files: {
      '/etc/lockkeeper/keys.json': '\uFEFF{"v":1,\r\n"root":[]}',
      '/etc/lockkeeper/office.yml': '\uFEFFon_http_request:\r\n  - actions: []\r\n',
    },
  });
  expect(config.trust).toEqual({ mode: 'signed', keysFile: '/etc/lockkeeper/keys.json' });
  expect(policyTexts['office']).toBe('on_http_request:\r\n  - actions: []\r\n');
});

test.each([
  ['{\n  "device": {"id": "press-7",}\n}', 'line 2, column 30'],
  ['\uFEFF{\r\n  "a": 1\r\n  "b": 2\r\n}', 'line 3, column 3'],
  ['{"a": 1', 'line 1, column 8: the file ends too early'],
  ['', 'line 1, column 1: the file ends too early'],
  ['{"a": 1, "a": 2}', 'line 1, column 10: a name stands twice'],
  ['{"path": "C:\\data"}', 'line 1, column 13: a string holds an escape'],
])('names file, line and column of broken JSON in %j', async (config, where) => {
  const [first] = await loadBad({ config });
  expect(first).toContain(`${FILE} is not JSON`);
  expect(first).toContain(where);
});

test.each([
  ['UTF-16', Buffer.from('\uFEFF{}', 'utf16le'), 'is UTF-16; save it as UTF-8'],
  ['Latin-1', Buffer.from('{"a":"\xe4"}', 'latin1'), 'is not UTF-8'],
  ['a list', '[]', 'must hold a JSON object'],
])('refuses %s', async (_, config, why) => {
  expect((await loadBad({ config }))[0]).toContain(`${FILE} ${why}`);
});

test('says so when a file does not exist', async () => {
  const config = { ...BENCH_CONFIG, trust: { keysFile: '/k.json' }, policies: { office: '/p.yml' } };
  const lines = await loadBad({ config });
  expect(lines).toContainEqual(
    expect.stringContaining('trust.keysFile names a file that will not do: /k.json does not exist'),
  );
  expect(lines).toContainEqual(
    expect.stringContaining('policies.office names a file that will not do: /p.yml does not exist'),
  );
});

test('finds a keys file in the credentials folder', async () => {
  const config = { ...BENCH_CONFIG, trust: { keysFile: 'credential:keys' } };
  const files = { '/run/credentials/x/keys': '{}' };
  const env = { CREDENTIALS_DIRECTORY: '/run/credentials/x' };
  expect((await loadGood({ config, files, env })).config.trust.keysFile).toBe('credential:keys');
  expect((await loadBad({ config, files }))[0]).toContain('is not in a credentials folder');
});

test("keeps the file's values where a variable is set but empty", async () => {
  const config = {
    ...BENCH_CONFIG,
    mqtt: { ...BENCH_CONFIG.mqtt, username: 'u' },
    log: { level: 'warn' },
    report: { healthS: 60 },
    http: { page: false },
  };
  const env = {
    LOCKKEEPER_MQTT_USERNAME: '',
    LOCKKEEPER_LOG_LEVEL: '',
    LOCKKEEPER_REPORT_HEALTHS: '',
    LOCKKEEPER_HTTP_PAGE: '',
    LOCKKEEPER_ENDPOINTS: '',
  };
  expect(await shown({ config, env })).toBe(await shown({ config }));
});

test('names key and variable when the only source of a required key is empty', async () => {
  const { device: _, ...rest } = BENCH_CONFIG;
  const config = { ...rest, device: { tenant: 'acme' } };
  const [first] = await loadBad({ config, env: { LOCKKEEPER_DEVICE_ID: '' } });
  expect(first).toContain('device.id is required');
  expect(first).toContain('LOCKKEEPER_DEVICE_ID');
  expect((await loadGood({ config, env: { LOCKKEEPER_DEVICE_ID: 'press-9' } })).config.device.id).toBe(
    'press-9',
  );
});

test('lays the environment over the file, with its types', async () => {
  const { config } = await loadGood({
    config: {},
    env: {
      LOCKKEEPER_DEVICE_ID: 'press-9',
      LOCKKEEPER_DEVICE_TENANT: 'acme',
      LOCKKEEPER_MQTT_URL: 'mqtt://127.0.0.1:1883',
      LOCKKEEPER_MQTT_PROTOCOL: '5',
      LOCKKEEPER_TRUST_MODE: 'broker',
      LOCKKEEPER_NGROK_AUTHTOKENFILE: '/run/token',
      LOCKKEEPER_REPORT_HEALTHS: '60',
      LOCKKEEPER_HTTP_PAGE: 'false',
      LOCKKEEPER_UPSTREAMS: '{"plc":{"url":"tcp://192.168.7.2:502"}}',
      LOCKKEEPER_ALLOWUPSTREAMS: '["http://127.0.0.1:8080"]',
      LOCKKEEPER_PROFILE: '/home/op/profile.json',
      PATH: '/usr/bin',
    },
  });
  expect(config.mqtt.protocol).toBe('5');
  expect(config.ngrok.authtokenFile).toBe('/run/token');
  expect(config.report.healthS).toBe(60);
  expect(config.http.page).toBe(false);
  expect(Object.keys(config.upstreams)).toEqual(['plc']);
  expect(config.allowUpstreams).toEqual(['http://127.0.0.1:8080']);
});

test.each([
  ['LOCKKEEPER_REPORT_HEALTHS', '5m', 'report.healthS must be a whole number'],
  ['LOCKKEEPER_REPORT_HEALTHS', '12.5', 'report.healthS must be a whole number'],
  ['LOCKKEEPER_REPORT_HEALTHS', '0', 'report.healthS must be at least 1, not 0'],
  ['LOCKKEEPER_HTTP_PAGE', 'yes', 'http.page must be true or false'],
  ['LOCKKEEPER_ENDPOINTS', '[{]', 'endpoints must be JSON, but at line 1, column 3'],
  ['LOCKKEEPER_UPSTREAMS', '{"hmi":{"url":"3001"}}', 'upstreams.hmi.url is not a URL'],
  ['LOCKKEEPER_LOG_LEVEL', 'loud', 'log.level must be one of trace, debug'],
])('names the variable %s when its value %j will not do', async (variable, value, why) => {
  const [first] = await loadBad({ env: { [variable]: value } });
  expect(first).toContain(`${variable}: ${why}`);
});

test.each([
  ['LOCKKEEPER_MQTT_ULR', 'did you mean LOCKKEEPER_MQTT_URL?'],
  ['LOCKKEEPER_NGROK_AUTHTOKEN', 'secrets come as files: LOCKKEEPER_NGROK_AUTHTOKENFILE'],
  ['LOCKKEEPER_STATE_DIR', 'did you mean LOCKKEEPER_STATEDIR?'],
  ['LOCKKEEPER_ZZZZZZZZZZZZ', 'is not a key of the configuration'],
])('refuses the unknown variable %s with a hint, never its value', async (variable, hint) => {
  const lines = await loadBad({ env: { [variable]: SECRET } });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(variable);
  expect(lines[0]).toContain(hint);
  expect(lines[0]).not.toContain(SECRET);
});

test.each([
  [{ tenant: 'acme' }, 'tenant is not a key here; did you mean device.tenant?'],
  [{ statedir: '/x' }, 'statedir is not a key; did you mean stateDir?'],
  [{ ngrok: { authtoken: SECRET } }, 'ngrok.authtoken is not a key; secrets come as files: authtokenFile'],
  [
    { upstreams: { hmi: { url: 'http://127.0.0.1:1', chekc: null } } },
    'upstreams.hmi.chekc is not a key; did you mean check?',
  ],
  [
    { endpoints: [{ name: 'web', proto: 'http', upstream: 'hmi', idleS: 3 }] },
    'endpoints[0].idleS is not a key',
  ],
  [{ 'odd key': 1 }, '["odd key"] is not a key'],
])('refuses an unknown key in %j with its path', async (change, why) => {
  const lines = await loadBad({ config: { ...BENCH_CONFIG, ...change } });
  expect(lines[0]).toContain(`${FILE}: ${why}`);
  expect(lines.join()).not.toContain(SECRET);
});

test('tells all mistakes at once', async () => {
  const lines = await loadBad({
    config: {
      ...BENCH_CONFIG,
      device: { id: 'P7', tenant: 'acme' },
      http: { listen: '0.0.0.0:9000' },
      upstreams: { hmi: { url: '3001' }, HMI: { url: 'http://127.0.0.1:1' } },
      report: { healthS: '60' },
    },
    env: { LOCKKEEPER_DRAIN_DEADLINES: 'soon' },
  });
  expect(lines.map((line) => line.replace(`${FILE}: `, '').slice(0, 45))).toEqual([
    'LOCKKEEPER_DRAIN_DEADLINES: drain.deadlineS m',
    'device.id has the wrong form; give 3 to 63 of',
    'upstreams.HMI is not a valid name; names have',
    'report.healthS must be a whole number, not a ',
    'http.listen must be a loopback address; write',
  ]);
});

test.each([
  ['mqtt.url', { mqtt: { url: 'mqtt://user:hunter2@127.0.0.1' } }, 'must not hold a user name or password'],
  ['mqtt.url', { mqtt: { url: 'http://127.0.0.1' } }, 'has a scheme other than'],
  ['mqtt.url', { mqtt: {} }, 'is required'],
  ['mqtt.keyFile', { mqtt: { url: 'mqtt://127.0.0.1', certFile: '/c' } }, 'is required beside mqtt.certFile'],
  ['trust.keysFile', { trust: {} }, 'is required with trust.mode signed'],
  ['ngrok.authtokenFile', { ngrok: { authtokenFile: SECRET } }, 'looks like a secret itself'],
  ['ngrok.serverAddr', { ngrok: { serverAddr: '[::1]:443' } }, 'must be host:port'],
  ['ngrok.serverAddr', { ngrok: { serverAddr: 'edge.test' } }, 'must be host:port'],
  ['ngrok.serverAddr', { ngrok: { serverAddr: 'edge.test:80' } }, 'cannot have port 80'],
  ['http.listen', { http: { listen: '192.168.7.1:9000' } }, 'must be a loopback address'],
  ['http.listen', { http: { listen: '9000' } }, 'is not ADDRESS:PORT'],
  [
    'upstreams.hmi.caFile',
    { upstreams: { hmi: { url: 'http://10.0.0.1', caFile: '/c' } } },
    'has no meaning',
  ],
  [
    'upstreams.hmi.url',
    { upstreams: { hmi: { url: 'http://169.254.169.254' } } },
    'is an address that is always refused',
  ],
  [
    'upstreams.hmi.url',
    { upstreams: { hmi: { url: 'tcp://localhost:1883' } } },
    'is a port of the daemon itself or of its broker',
  ],
  [
    'allowUpstreams[1]',
    { allowUpstreams: ['http://10.0.0.1', 'tcp://10.0.0.0/40:502'] },
    'has a prefix length',
  ],
  ['upstreams.hmi.check.type', { upstreams: { hmi: { url: 'http://10.0.0.1', check: {} } } }, 'is required'],
])('refuses a wrong %s: %j', async (path, change, why) => {
  const lines = await loadBad({ config: { ...BENCH_CONFIG, ...change } });
  expect(lines[0]).toContain(`${FILE}: ${path} ${why}`);
  expect(lines.join()).not.toMatch(/hunter2|2abcdef/);
});

const endpoint = { name: 'web', proto: 'http', upstream: 'hmi' } as const;

test.each([
  ['endpoints[1].name', [endpoint, endpoint], 'is also the name of endpoints[0]'],
  ['endpoints[0].upstream', [{ ...endpoint, upstream: 'hmj' }], 'names no upstream; did you mean hmi?'],
  [
    'endpoints[0].upstream',
    [{ ...endpoint, upstream: 'http://10.0.0.1' }],
    'is covered by no entry of allowUpstreams',
  ],
  ['endpoints[0].policy', [{ ...endpoint, policy: 'office' }], 'names no policy; there are none'],
  [
    'endpoints[0].windows[1]',
    [{ ...endpoint, windows: ['mon 08:00-09:00', 'mon-09'] }],
    'is not DAYS START-END',
  ],
  [
    'endpoints[0].windows[0]',
    [{ ...endpoint, windows: ['mon 08:00-09:00 Mars/Base'] }],
    'names the time zone "Mars/Base"',
  ],
  [
    'endpoints[0].url',
    [{ ...endpoint, url: 'tcp://1.tcp.test:1' }],
    'has the scheme tcp; proto http takes https://NAME',
  ],
  ['endpoints[0].idleCloseS', [{ ...endpoint, metering: 'off', idleCloseS: 5 }], 'needs metering on'],
  ['endpoints[0].proto', [{ ...endpoint, proto: 'https' }], 'must be one of http, tcp, tls'],
  ['endpoints[0].upstream', [{ name: 'web', proto: 'http' }], 'is required'],
])('refuses a wrong %s', async (path, endpoints, why) => {
  expect((await loadBad({ config: { ...BENCH_CONFIG, endpoints } }))[0]).toContain(`${FILE}: ${path} ${why}`);
});

test('refuses a TZ that is not known when a window depends on it', async () => {
  const given = (window: string): Given => ({
    config: { ...BENCH_CONFIG, endpoints: [{ ...endpoint, windows: [window] }] },
    env: { TZ: 'Mars/Base' },
  });
  expect((await loadBad(given('mon 08:00-09:00')))[0]).toContain('TZ names "Mars/Base"');
  expect((await load(given('mon 08:00-09:00 UTC'))).ok).toBe(true);
});

test('shows host names in lower case', async () => {
  const { config } = await loadGood({
    config: {
      ...BENCH_CONFIG,
      mqtt: { url: 'MQTT://LocalHost:1883' },
      upstreams: { hmi: { url: 'HTTPS://Panel.Local:443/' } },
      allowUpstreams: ['TCP://Plc.Local:502'],
      endpoints: [
        { ...endpoint, url: 'https://Press-7.Site-A.Example' },
        { ...endpoint, name: 'plc', proto: 'tcp', upstream: 'tcp://PLC.local:502' },
      ],
    },
    hosts: { localhost: ['127.0.0.1', '::1'] },
  });
  expect(config.mqtt.url).toBe('mqtt://localhost:1883');
  expect(config.upstreams['hmi']?.url).toBe('https://panel.local');
  expect(config.allowUpstreams).toEqual(['tcp://plc.local:502']);
  expect(config.endpoints[0]?.url).toBe('https://press-7.site-a.example');
  expect(config.endpoints[1]?.upstream).toBe('tcp://plc.local:502');
});

test.each([
  ['mqtt://192.168.7.1', {}, null],
  ['mqtt://[fd00::1]', {}, null],
  ['mqtt://broker', { broker: ['172.18.0.3'] }, null],
  ['mqtts://203.0.113.9', {}, '203.0.113.9 is a public address'],
  ['mqtts://broker', { broker: ['10.0.0.1', '203.0.113.9'] }, 'the host broker of mqtt.url is 203.0.113.9'],
  ['mqtts://broker', {}, 'the host broker of mqtt.url cannot be resolved'],
])('believes the broker at %s only where strangers cannot reach it', async (url, hosts, why) => {
  const given = { config: { ...BENCH_CONFIG, mqtt: { url } }, hosts };
  if (why === null) expect((await loadGood(given)).warnings[0]).toContain('trust.mode is broker');
  else expect((await loadBad(given))[0]).toContain(`trust.mode cannot be broker: ${why}`);
});

test("lets relative paths count from the file's folder", async () => {
  const { config } = await loadGood({
    config: {
      ...BENCH_CONFIG,
      stateDir: 'state',
      ngrok: { authtokenFile: 'credential:token', caFile: './ca.pem' },
    },
  });
  expect(config.stateDir).toBe('/etc/lockkeeper/state');
  expect(config.ngrok).toMatchObject({ authtokenFile: 'credential:token', caFile: '/etc/lockkeeper/ca.pem' });
});

test('takes the MQTT version as a number too', async () => {
  const { config } = await loadGood({
    config: { ...BENCH_CONFIG, mqtt: { ...BENCH_CONFIG.mqtt, protocol: 4 } },
  });
  expect(config.mqtt.protocol).toBe('4');
});

test('prints the same text for the same meaning', async () => {
  const upstreams = { a: { url: 'http://10.0.0.1' }, b: { url: 'http://10.0.0.2' } };
  const turned = { b: upstreams.b, a: upstreams.a };
  const reversed = Object.fromEntries(Object.entries({ ...BENCH_CONFIG, upstreams: turned }).reverse());
  expect(await shown({ config: reversed })).toBe(await shown({ config: { ...BENCH_CONFIG, upstreams } }));
});

test.each([
  [{ socket: '' }, 'socket must name a file'],
  [{ mqtt: { ...BENCH_CONFIG.mqtt, alpn: 'x-amzn-mqtt-ca' } }, 'mqtt.alpn has no meaning without mqtts://'],
  [{ mqtt: { ...BENCH_CONFIG.mqtt, alpn: 'two words' } }, 'mqtt.alpn'],
  [{ stateDir: '' }, 'stateDir must name a folder'],
  [{ socket: `/run/${'s'.repeat(120)}.sock` }, 'socket is longer than the 107 bytes'],
])('refuses what cannot be used: %j', async (more, line) => {
  const [first] = await loadBad({ config: { ...BENCH_CONFIG, ...more } });
  expect(first).toContain(line);
});
