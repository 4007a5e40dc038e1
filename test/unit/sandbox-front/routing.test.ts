import { describe, expect, test } from 'vitest';
import { endToEnd, forwardedRequest } from '../../../src/sandbox/front/forwarded.ts';
import { acceptedCoding, codingFor, encodedHeaders } from '../../../src/sandbox/front/modules/compression.ts';
import { hostName, pick } from '../../../src/sandbox/front/route.ts';
import { framingOf, isReplayable } from '../../../src/sandbox/front/send-request.ts';
import { modelEndpoint } from '../../support/edge-model.ts';

test.each([
  ['A.Edge.Test', 'a.edge.test'],
  ['a.edge.test:8443', 'a.edge.test'],
  ['a.edge.test.:80', 'a.edge.test'],
  ['[::1]:8080', '[::1]'],
  ['', ''],
])('the host %j names %j', (header, name) => {
  expect(hostName(header)).toBe(name);
});

test('each member of a pool is drawn by its share of chance', () => {
  const members = ['a', 'b', 'c'].map((host) => modelEndpoint({ proto: 'https', host }, 1));
  const drawn = [0, 0.33, 0.34, 0.66, 0.67, 0.999].map((chance) => pick(members, () => chance)?.host);
  expect(drawn).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
  expect(pick([], () => 0)).toBeUndefined();
});

describe('forwarded fields', () => {
  test('lose what speaks of the one connection, and what it names', () => {
    const fields = [
      'Host',
      'h',
      'Connection',
      'X-Mine, host',
      'X-Mine',
      '1',
      'Upgrade',
      'x',
      'Keep-Alive',
      '5',
      'A',
      'b',
    ];
    expect(endToEnd(fields)).toEqual(['Host', 'h', 'A', 'b']);
  });

  test('say who asks, whatever the visitor claimed', () => {
    const visitor = { ip: '10.0.0.9', scheme: 'https', host: 'A.test:1' } as const;
    expect(forwardedRequest(['X-FORWARDED-FOR', '1.1.1.1', 'x', 'y'], visitor)).toEqual([
      ...[
        'x',
        'y',
        'X-Forwarded-For',
        '10.0.0.9',
        'X-Forwarded-Host',
        'A.test:1',
        'X-Forwarded-Proto',
        'https',
      ],
    ]);
  });
});

test('only an idempotent request without a body can be sent twice', () => {
  expect(framingOf(['Content-Length', '0'])).toBe('none');
  expect(framingOf(['content-length', '5'])).toBe('length');
  expect(framingOf(['TRANSFER-ENCODING', 'Chunked'])).toBe('chunked');
  expect(framingOf(['Transfer-Encoding', 'gzip', 'Transfer-Encoding', 'chunked'])).toBe('unknown');
  expect([isReplayable('GET', 'none'), isReplayable('POST', 'none'), isReplayable('PUT', 'length')]).toEqual([
    true,
    false,
    false,
  ]);
});

describe('compression', () => {
  const request = {
    method: 'GET',
    target: '/',
    host: 'h',
    headers: ['accept-encoding', 'gzip, deflate, br'],
  };
  const response = {
    status: 200,
    statusText: 'OK',
    headers: ['ETag', '"a"', 'Content-Length', '9'],
    codings: ['gzip'] as const,
  };

  test('heeds weights and the star', () => {
    const of = (value: string) => acceptedCoding(['Accept-Encoding', value], ['gzip', 'deflate']);
    expect([of('br'), of('deflate;q=0.5'), of('gzip;q=0, *'), of('*;q=0'), of('')]).toEqual([
      null,
      'deflate',
      'deflate',
      null,
      null,
    ]);
  });

  test('leaves alone what has no body, is encoded or must stay as it is', () => {
    expect(codingFor(request, response)).toBe('gzip');
    expect(codingFor({ ...request, method: 'HEAD' }, response)).toBeNull();
    expect(codingFor(request, { ...response, status: 304 })).toBeNull();
    expect(codingFor(request, { ...response, headers: ['content-encoding', 'br'] })).toBeNull();
    expect(
      codingFor(request, { ...response, headers: ['cache-control', 'private, no-transform'] }),
    ).toBeNull();
  });

  test('drops the length and weakens the entity tag', () => {
    expect(encodedHeaders(response.headers, 'gzip')).toEqual([
      ...['ETag', 'W/"a"', 'Content-Encoding', 'gzip', 'Vary', 'Accept-Encoding'],
    ]);
  });
});
