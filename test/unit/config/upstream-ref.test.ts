import { expect, test } from 'vitest';
import { formatUpstream, parseUpstreamUrl } from '../../../src/config/upstream-ref.ts';

test.each([
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
  ['http://127.0.0.1', 'http://127.0.0.1'],
  ['HTTP://Hmi.Local:80/', 'http://hmi.local'],
  ['https://192.168.7.9', 'https://192.168.7.9'],
  ['https://192.168.7.9:80', 'https://192.168.7.9:80'],
  ['tcp://192.168.7.2:502', 'tcp://192.168.7.2:502'],
  ['tls://panel:443', 'tls://panel:443'],
  ['http://[::1]:3001', 'http://[::1]:3001'],
  ['http://[0:0::0:1]:3001', 'http://[::1]:3001'],
  ['http://[::ffff:127.0.0.1]:3001', 'http://127.0.0.1:3001'],
  ['http://my_app:3000', 'http://my_app:3000'],
  ['http://xn--mller-kva.example', 'http://xn--mller-kva.example'],
])('takes %s as %s', (text, spelling) => {
  const read = parseUpstreamUrl(text);
  expect(read.ok && formatUpstream(read.value)).toBe(spelling);
});

test.each([
  ['3001', 'is not a URL'],
  ['', 'is not a URL'],
  ['localhost:3001', 'is not a URL'],
  ['127.0.0.1', 'is not a URL'],
  ['//127.0.0.1:80', 'is not a URL'],
  ['http:/127.0.0.1', 'is not a URL'],
  ['http://', 'names no host'],
  ['http://:3001', 'names no host'],
  ['http://::1:3001', 'names no host'],
  ['http://[::1', 'has no valid host'],
  ['http://[::1]3001', 'has no valid host'],
  ['http://[fe80::1%eth0]:80', 'must not hold a zone'],
  ['http://[fe80::1%25eth0]:80', 'must not hold a zone'],
  ['http://127.0.0.1%2f:80', 'must not hold a zone or escapes'],
  ['tcp://192.168.7.2', 'needs a port with tcp://'],
  ['tls://panel', 'needs a port with tls://'],
  ['http://127.0.0.1:', 'has a port that is not 1 to 65535'],
  ['http://127.0.0.1:0', 'has a port that is not 1 to 65535'],
  ['http://127.0.0.1:65536', 'has a port that is not 1 to 65535'],
  ['http://127.0.0.1:080', 'has a port that is not 1 to 65535'],
  ['http://127.0.0.1:80a', 'has a port that is not 1 to 65535'],
  ['http://user:pass@127.0.0.1', 'must not hold a user name'],
  ['http://127.0.0.1#x', 'must not hold a fragment'],
  ['http://127.0.0.1/x#y', 'must not hold a fragment'],
  ['http://127.0.0.1/admin', 'must not hold a path'],
  ['http://127.0.0.1?x', 'must not hold a path or query'],
  ['file:///etc/passwd', 'has a scheme other than'],
  ['unix:///run/docker.sock', 'has a scheme other than'],
  ['ftp://127.0.0.1', 'has a scheme other than'],
  ['http://0x7f.1', 'has no valid host'],
  ['http://2130706433', 'has no valid host'],
  ['http://0x7f000001', 'has no valid host'],
  ['http://127.1', 'has no valid host'],
  ['http://017700000001', 'has no valid host'],
  ['http://127.0.0.01', 'has no valid host'],
  ['tcp://0x7f.1:80', 'has no valid host'],
  ['tcp://2130706433:80', 'has no valid host'],
  ['http://127。0。0。1', 'has no valid host'],
  ['http://ⓛocalhost', 'has no valid host'],
  ['http://localhost.', 'has no valid host'],
  ['http://a..b', 'has no valid host'],
  ['http://-a.b', 'has no valid host'],
  ['http://127.0.0.1\\@evil', 'must not hold a user name'],
  ['http://127.0.0.1\\evil', 'has no valid host'],
  [' http://127.0.0.1', 'is not a URL'],
  ['http://127.0.0.1\t', 'has no valid host'],
  ['http://127.0.0.1\n:80', 'has no valid host'],
  ['http://evil\u0000.example', 'has no valid host'],
])('refuses %j and shows the form wanted', (text, why) => {
  const read = parseUpstreamUrl(text);
  if (read.ok) expect.unreachable();
  else {
    expect(read.fault.message).toContain(why);
    expect(read.fault.message).toContain('write it like http://127.0.0.1:8080');
  }
});

test('agrees with the URL parser about every host that it takes', () => {
  for (const text of [
    'http://hmi.local',
    'http://10.1.2.3',
    'http://[fd00:7::1]',
    'http://xn--mller-kva.example',
  ]) {
    const read = parseUpstreamUrl(text);
    expect(read.ok && read.value.host.text).toBe(new URL(text).hostname.replace(/[[\]]/g, ''));
  }
});
