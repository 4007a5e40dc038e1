import { expect, test } from 'vitest';
import { resolveUpstream } from '../../../src/config/resolve-upstream.ts';
import { BENCH_CONFIG, loadGood } from '../../support/config-fixture.ts';

const { config } = await loadGood({
  config: {
    ...BENCH_CONFIG,
    http: { listen: '127.0.0.1:9464' },
    upstreams: {
      ...BENCH_CONFIG.upstreams,
      panel: { url: 'https://192.168.7.9', verify: false },
      cell: { url: 'tls://cell.local:8443', caFile: '/ca.pem', serverName: 'Panel' },
    },
    allowUpstreams: [
      'tcp://192.168.7.0/24:502',
      'https://10.0.0.0/8',
      'tcp://0.0.0.0/0:80',
      'tcp://localhost:9464',
      'tcp://127.0.0.0/8:1883',
    ],
  },
});

test.each([
  ['hmi', { ref: 'hmi', host: '127.0.0.1', port: 8080 }],
  ['panel', { ref: 'panel', host: '192.168.7.9', port: 443, tls: { verify: false } }],
  [
    'cell',
    {
      ref: 'cell',
      host: 'cell.local',
      port: 8443,
      tls: { verify: true, caFile: '/ca.pem', serverName: 'panel' },
    },
  ],
  ['tcp://192.168.7.2:502', { ref: 'tcp://192.168.7.2:502', host: '192.168.7.2', port: 502 }],
  ['https://10.1.2.3', { ref: 'https://10.1.2.3', host: '10.1.2.3', port: 443, tls: { verify: true } }],
])('resolves %s', (ref, target) => {
  expect(resolveUpstream(config, ref)).toEqual({ ok: true, value: target });
});

test.each([
  ['plc', 'No upstream of this device is named "plc"'],
  ['constructor', 'No upstream of this device is named'],
  ['http://127.0.0.1:8080', 'No entry of allowUpstreams covers http://127.0.0.1:8080'],
  ['tcp://192.168.7.2:503', 'No entry of allowUpstreams covers'],
  ['tcp://169.254.169.254:80', 'is always refused'],
  ['tcp://[::ffff:169.254.169.254]:80', 'is always refused'],
  ['tcp://[fe80::1]:80', 'is always refused'],
  ['tcp://[fd00:ec2::254]:80', 'is always refused'],
  ['tcp://224.0.0.1:80', 'is always refused'],
  ['tcp://0.0.0.0:80', 'is always refused'],
  ['tcp://255.255.255.255:80', 'is always refused'],
  ['tcp://[::]:80', 'is always refused'],
  ['tcp://localhost:9464', 'is a port of the daemon itself'],
  ['tcp://127.0.0.9:1883', 'is a port of the daemon itself or of its broker'],
  ['http://user:pass@10.0.0.1', 'must not hold a user name'],
  ['file:///etc/passwd', 'has a scheme other than'],
])('denies %s', (ref, why) => {
  const resolved = resolveUpstream(config, ref);
  if (resolved.ok) expect.unreachable();
  else {
    expect(resolved.fault).toMatchObject({ code: 'UPSTREAM_DENIED', retryable: false });
    expect(resolved.fault.message).toContain(why);
    expect(resolved.fault.message).not.toContain('pass@');
  }
});
