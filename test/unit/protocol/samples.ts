/** One good message of each kind, as a device or an operator would send it. */

export const ID = '01JF0K8ZQ4M9T2V5X7B3C6D8E1';
const BOOT = '9f3c1a7e5b2d4c60';
const NOW = 1_732_430_000;

const endpoint = {
  name: 'web',
  on: true,
  proto: 'http',
  upstream: 'hmi',
  url: 'https://press-7.site-a.example',
  policy: 'office-only',
  ttl_s: 3600,
  binding: 'public',
  metadata: 'line 3',
  metering: 'on',
  idle_s: 0,
  windows: ['Mon-Fri 06:00-18:00'],
};

const command = (op: string, args?: object, to = 'd:press-7') => ({
  v: 1,
  id: ID,
  to,
  op,
  iat: NOW,
  exp: NOW + 300,
  seq: 42,
  boot: BOOT,
  ...(args === undefined ? {} : { args }),
});

export const SEALED = `${'e'.repeat(100)}..${'i'.repeat(16)}.${'c'.repeat(80)}.${'t'.repeat(22)}`;

/** By the name of the schema's definition. */
export const samples: readonly (readonly [
  'command' | 'desired' | 'result' | 'reported' | 'health' | 'event' | 'presence' | 'hello',
  Readonly<Record<string, unknown>>,
])[] = [
  ['command', command('ping')],
  ['command', command('start', { ep: 'web', lease_s: 900 })],
  ['command', command('stop', { ep: '*' }, 'g:floor-1')],
  ['command', command('restart', { anything: 1 })],
  ['command', command('rekey', { gen: 2, sealed: SEALED, mode: 'overlap' })],
  ['command', command('report')],
  ['command', command('cancel', { id: ID })],
  ['command', command('resync')],
  ['command', command('keys', { set: 'aaaa.bbbb.cccc' })],
  ['command', command('newkey', { sealed: SEALED })],
  [
    'desired',
    {
      v: 1,
      dev: 'press-7',
      rev: 12,
      iat: NOW,
      endpoints: [
        endpoint,
        { name: 'plc', on: false, proto: 'tcp', upstream: 'tcp://192.168.7.2:502' },
        { name: 'hmi2', on: true, proto: 'http', upstream: 'http://127.0.0.1:8080/path' },
      ],
      cred: { gen: 2, revoked: false },
      groups: ['floor-1', 'lab'],
      report: { health_s: 60, conn_s: 0, spread_s: 120 },
    },
  ],
  ['desired', { v: 1, dev: 'press-7', rev: 0, iat: 0, endpoints: [] }],
  [
    'result',
    {
      v: 1,
      id: ID,
      op: 'rekey',
      status: 'failed',
      n: 3,
      ts: NOW,
      boot: BOOT,
      dup: true,
      code: 'NGROK_AUTH_REFUSED',
      msg: 'the edge refused the new authtoken',
      retry_s: 0,
      out: { gen: 1, ngrokCode: 'ERR_NGROK_107' },
    },
  ],
  [
    'reported',
    {
      v: 1,
      ts: NOW,
      boot: BOOT,
      rev: 12,
      applied: 11,
      bad: { rev: 13, code: 'BAD_ARGS' },
      clk: 'ntp',
      cred: { gen: 1, want: 2, fp: '0a1b2c3d', state: 'ok' },
      session: { state: 'up', since: NOW, err: 'ERR_NGROK_107' },
      endpoints: [
        {
          name: 'web',
          state: 'up',
          url: 'https://press-7.site-a.example',
          since: NOW,
          code: 'NGROK_NET',
          by: 'lease',
          lease_end: NOW + 60,
        },
      ],
      locked: false,
      conditions: [{ code: 'UPSTREAM_DOWN', severity: 'warning', since: NOW, msg: 'x', ep: 'web' }],
      last: [
        [ID, 'succeeded'],
        [ID, 'failed', 'DEADLINE'],
      ],
    },
  ],
  [
    'health',
    {
      v: 1,
      ts: NOW,
      boot: BOOT,
      n: 4,
      up: 1200,
      sess: 'up',
      lat: 41.5,
      eps: [{ name: 'web', req: 10 }],
      sys: { cpu: 0.2, mem: 0.4, disk: 0.5, t: null, rss: 60 },
      q: { out: 0, drop: 0 },
      sec: { bad_sig: 1, replay: 0 },
      clk: 'rtc',
    },
  ],
  [
    'event',
    {
      v: 1,
      ts: NOW,
      boot: BOOT,
      n: 9,
      type: 'endpoint.down',
      ep: 'web',
      code: 'NGROK_NET',
      cause: 'lease ended',
      data: { requests: 3 },
    },
  ],
  ['presence', { v: 1, online: false, boot: BOOT, n: 1, ts: NOW, why: 'lost' }],
  [
    'hello',
    {
      v: 1,
      boot: BOOT,
      agent: 'lockkeeper 0.1.0',
      ngrok: '1.7.0',
      node: '26.10.0',
      arch: 'arm64',
      os: 'linux',
      proto: 5,
      clk: 'ntp',
      trust: 'signed',
      enc: { kid: 'e1', kty: 'OKP', crv: 'X25519', x: 'AAAA' },
      sigKids: ['ops-1'],
      ops: ['ping'],
      max: { pkt: 65_536, eps: 32 },
      store: 'file',
    },
  ],
];
