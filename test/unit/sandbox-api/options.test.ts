import { CommanderError } from 'commander';
import { expect, test, vi } from 'vitest';
import { readCommandLine } from '../../../src/sandbox/options.ts';

test('starts with defaults that need no thought', () => {
  const { json, options } = readCommandLine([], '1.0.0');
  expect(json).toBe(false);
  expect(options).toMatchObject({
    domain: 'edge.test',
    tokens: {},
    switches: { revoke: 'at-once', disable: 'at-once', aclPatch: 'next-bind', reservations: false },
    rate: { limit: 120, windowMs: 60_000 },
  });
  expect(options).not.toHaveProperty('dir');
  // The edge keeps its own defaults for what is not asked for.
  expect(options.edge).toEqual({ urlPort: true, enforceHeartbeat: true });
});

test('takes every option', () => {
  const argv = [
    ...[
      '--json',
      '--dir',
      'd',
      '--domain',
      'Site.Test',
      '--token',
      'a=x=y',
      '--token',
      'default= b ',
      '--websocket',
    ],
    ...['--route-delay', '1', '--grace', '2', '--max-endpoints', '3', '--no-url-port', '--no-heartbeats'],
    ...['--revoke', 'next-bind', '--disable', 'next-connect', '--acl-patch', 'now', '--reservations'],
    ...['--certificate', '4', '--rate', '5'],
  ];
  expect(readCommandLine(argv, '1.0.0')).toEqual({
    json: true,
    options: {
      dir: 'd',
      domain: 'site.test',
      tokens: { a: 'x=y', default: ' b ' },
      edge: { routeDelayMs: 1, graceMs: 2, endpointsPerSession: 3, urlPort: false, enforceHeartbeat: false },
      switches: {
        revoke: 'next-bind',
        disable: 'next-connect',
        aclPatch: 'now',
        reservations: true,
        certificateMs: 4,
      },
      rate: { limit: 5, windowMs: 60_000 },
      broker: { websocket: true },
    },
  });
});

test.each([
  [['--bogus']],
  [['extra']],
  [['--token', 'nameless']],
  [['--token', 'a=1', '--token', 'a=2']],
  [['--token', 'a=']],
  [['--token', '=secret']],
  [['--token', 'a=line\nfeed']],
  [['--token', '__proto__=x']],
  [['--domain', 'nodots']],
  [['--domain', '*.edge.test']],
  [['--domain', '-a.test']],
  [['--grace', '-1']],
  [['--grace', '1s']],
  [['--rate', '']],
  [['--revoke', 'never']],
  [['--acl-patch', 'at-once']],
  [['--dir']],
])('calls %j a usage error', (argv) => {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    readCommandLine(argv, '1.0.0');
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(CommanderError);
    expect(error).toMatchObject({ exitCode: 1 });
    expect(String(stderr.mock.calls[0]?.[0])).toMatch(/^error: /);
  } finally {
    stderr.mockRestore();
  }
});
