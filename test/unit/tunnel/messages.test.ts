import { describe, expect, test } from 'vitest';
import { parseReply, parseRequest } from '../../../src/tunnel/messages.ts';

const line = (value: unknown): string => JSON.stringify(value);

describe('a request line', () => {
  test.each([
    { id: 1, type: 'ping' },
    { id: 2, type: 'start', config: { authtoken: 'x' } },
    { id: 3, type: 'bind', spec: { name: 'web' } },
    { id: 4, type: 'unbind', endpoint: 'web', drainMs: 5 },
    { id: 5, type: 'closes-at', endpoint: 'web', closesAtMs: null },
    { id: 6, type: 'drain', deadlineMs: 5 },
    { id: 7, type: 'adopt' },
  ])('of type $type is read', (request) => {
    expect(parseRequest(line(request))).toEqual(request);
  });

  test.each([
    '',
    'null',
    '[]',
    '{',
    line({ type: 'ping' }),
    line({ id: 1, type: 'boom' }),
    line({ id: 1.5, type: 'ping' }),
    line({ id: 1, type: 'start', config: {} }),
    line({ id: 1, type: 'bind' }),
    line({ id: 1, type: 'unbind', endpoint: 'web' }),
    line({ id: 1, type: 'drain' }),
  ])('that is none is refused: %s', (text) => {
    expect(parseRequest(text)).toBeNull();
  });
});

describe('a reply line', () => {
  test.each([
    { type: 'answer', id: 1, ok: true, snapshot: null },
    { type: 'answer', id: 1, ok: false, fault: { code: 'INTERNAL', message: 'm', retryable: false } },
    { type: 'event', event: { type: 'disconnected' } },
    { type: 'log', level: 'warn', target: 't', message: 'm' },
    { type: 'replaced' },
  ])('of type $type is read', (reply) => {
    expect(parseReply(line(reply))).toEqual(reply);
  });

  test.each([
    'x',
    line({ type: 'answer', ok: true }),
    line({ type: 'answer', id: 1, ok: false }),
    line({ type: 'event' }),
    line({ type: 'log' }),
    line({ type: 'nothing' }),
  ])('that is none is refused: %s', (text) => {
    expect(parseReply(text)).toBeNull();
  });
});
