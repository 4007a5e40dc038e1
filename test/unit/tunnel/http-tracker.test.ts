import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createHttpTracker, type HttpTracker } from '../../../src/tunnel/relay/http-tracker.ts';

interface Seen {
  requests: number;
  statuses: number[];
  took: (number | null)[];
}

const follow = (): { tracker: HttpTracker; seen: Seen } => {
  const seen: Seen = { requests: 0, statuses: [], took: [] };
  const tracker = createHttpTracker({
    request: () => {
      seen.requests += 1;
    },
    response: (status, tookMs) => {
      seen.statuses.push(status);
      seen.took.push(tookMs);
    },
  });
  return { tracker, seen };
};

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';

type Turn = ['up' | 'down', string];
interface Story {
  readonly name: string;
  readonly turns: readonly Turn[];
  readonly statuses: readonly number[];
  readonly requests: number;
  readonly ends?: 'upgraded' | 'open' | 'close';
}

/** Whole conversations; each is split at every byte below. */
const STORIES: readonly Story[] = [
  {
    name: 'content-length both ways',
    turns: [
      ['up', 'POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello'],
      ['down', 'HTTP/1.1 201 Created\r\ncontent-length:  3 \r\n\r\nabc'],
      ['up', GET],
      ['down', 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n'],
    ],
    statuses: [201, 500],
    requests: 2,
  },
  {
    name: 'chunked both ways with extensions and trailers',
    turns: [
      [
        'up',
        'PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: 1\r\nU: 2\r\n\r\n',
      ],
      ['down', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n1\r\n\n\r\n000\r\n\r\n'],
    ],
    statuses: [200],
    requests: 1,
  },
  {
    name: 'no body for HEAD, 204 and 304',
    turns: [
      ['up', 'HEAD / HTTP/1.1\r\n\r\n'],
      ['down', 'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n'],
      ['up', GET],
      ['down', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['up', GET],
      ['down', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n'],
    ],
    statuses: [200, 204, 304],
    requests: 3,
  },
  {
    name: 'interim answers before the final one',
    turns: [
      ['up', 'POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n'],
      ['down', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'],
      ['up', 'ok'],
      ['down', 'HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n!'],
    ],
    statuses: [404],
    requests: 1,
  },
  {
    name: 'pipelined requests',
    turns: [
      ['up', `${GET}${GET}\r\n${GET}`],
      ['down', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2'],
      ['down', 'HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n'],
    ],
    statuses: [200, 200, 301],
    requests: 3,
  },
  {
    name: 'an answer that lasts until the connection closes',
    turns: [
      ['up', GET],
      ['down', 'HTTP/1.0 200 OK\r\n\r\nsome bytes HTTP/1.1 500 not a head\r\n\r\n'],
    ],
    statuses: [200],
    requests: 1,
    ends: 'close',
  },
  {
    name: 'an upgrade, with the first message behind the head',
    turns: [
      ['up', 'GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'],
      ['down', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello'],
      ['up', '\x81\x85\x00\x00\x00\x00hello'],
      ['down', '\x88\x00'],
    ],
    statuses: [101],
    requests: 1,
    ends: 'upgraded',
  },
];

const play = (
  story: Story,
  cut: (text: string) => readonly string[],
): { tracker: HttpTracker; seen: Seen } => {
  const run = follow();
  for (const [way, text] of story.turns) {
    for (const part of cut(text)) {
      if (way === 'up') run.tracker.toUpstream(bytes(part), 0);
      else run.tracker.toVisitor(bytes(part), 0);
    }
  }
  return run;
};

const expectStory = (story: Story, { tracker, seen }: { tracker: HttpTracker; seen: Seen }): void => {
  expect(seen).toMatchObject({ requests: story.requests, statuses: story.statuses });
  expect(tracker.isBlind).toBe(false);
  expect(tracker.isUpgraded).toBe(story.ends === 'upgraded');
  expect(tracker.isInFlight(0)).toBe(story.ends !== undefined);
  if (story.ends !== 'close') return;
  tracker.upstreamEnded();
  expect(tracker.isInFlight(0)).toBe(false);
};

describe.each(STORIES)('a conversation with $name', (story) => {
  test('is counted when it comes whole', () => {
    expectStory(
      story,
      play(story, (text) => [text]),
    );
  });

  test('is counted when it comes byte by byte', () => {
    expectStory(
      story,
      play(story, (text) => [...text]),
    );
  });

  test('is counted when it is split at any one offset', () => {
    const longest = Math.max(...story.turns.map(([, text]) => text.length));
    for (let at = 1; at < longest; at += 1) {
      expectStory(
        story,
        play(story, (text) => [text.slice(0, at), text.slice(at)]),
      );
    }
  });

  test('is counted when it is split anywhere, in a buffer that is used again', () => {
    const lent = Buffer.alloc(4_096);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }), (sizes) => {
        const run = follow();
        let turn = 0;
        for (const [way, text] of story.turns) {
          for (let at = 0; at < text.length; ) {
            const size = sizes[turn % sizes.length] ?? 1;
            turn += 1;
            const length = lent.write(text.slice(at, at + size), 'latin1');
            if (way === 'up') run.tracker.toUpstream(lent.subarray(0, length), 0);
            else run.tracker.toVisitor(lent.subarray(0, length), 0);
            lent.fill(0x78);
            at += size;
          }
        }
        expectStory(story, run);
      }),
    );
  });
});

test('a request is in flight from its first byte to the last byte of its answer', () => {
  const { tracker } = follow();
  expect(tracker.isInFlight(0)).toBe(false);
  tracker.toUpstream(bytes('G'), 0);
  expect(tracker.isInFlight(0)).toBe(true);
  tracker.toUpstream(bytes(GET.slice(1)), 0);
  tracker.toVisitor(bytes('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na'), 0);
  expect(tracker.isInFlight(99_999)).toBe(true);
  tracker.toVisitor(bytes('b'), 0);
  expect(tracker.isInFlight(0)).toBe(false);
});

test('an early answer keeps the request in flight until its body is through', () => {
  const { tracker, seen } = follow();
  tracker.toUpstream(bytes('POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab'), 0);
  tracker.toVisitor(bytes('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n'), 0);
  expect(seen.statuses).toEqual([413]);
  expect(tracker.isInFlight(0)).toBe(true);
  tracker.toUpstream(bytes('cd'), 0);
  expect(tracker.isInFlight(0)).toBe(false);
});

test('an answer to no request is counted and owes nothing', () => {
  const { tracker, seen } = follow();
  tracker.toVisitor(
    bytes('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
    0,
  );
  expect(seen.statuses).toEqual([408]);
  expect(tracker.isInFlight(0)).toBe(false);
});

test('latency runs from the end of the request head to the head of the final answer', () => {
  const { tracker, seen } = follow();
  tracker.toUpstream(bytes(GET), 100);
  tracker.toVisitor(bytes('HTTP/1.1 100 Continue\r\n\r\n'), 120);
  tracker.toVisitor(bytes('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), 175);
  expect(seen.took).toEqual([75]);
});

describe('bytes that are no HTTP/1.x', () => {
  test.each([
    ['binary', '\x16\x03\x01\x00\x00'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a bad length', 'POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['length and chunked', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a body of unknown coding', 'POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n'],
    ['a bad chunk size', 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['a chunk without end', 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n'],
    ['a head without end', `GET / HTTP/1.1\r\nA: ${'x'.repeat(70_000)}`],
  ])('such as %s are followed by estimate', (_name, text) => {
    const { tracker } = follow();
    tracker.toUpstream(bytes(text), 0);
    expect(tracker.isBlind).toBe(true);
    expect(tracker.isInFlight(50_000)).toBe(true);
    tracker.toVisitor(bytes('anything'), 1_000);
    expect(tracker.isInFlight(2_999)).toBe(true);
    expect(tracker.isInFlight(3_000)).toBe(false);
  });

  test('never make the tracker throw, in whatever pieces they come', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 60 }))), (pieces) => {
        const { tracker } = follow();
        for (const [isUp, piece] of pieces) {
          if (isUp) tracker.toUpstream(piece, 0);
          else tracker.toVisitor(piece, 0);
        }
        expect(typeof tracker.isInFlight(10_000)).toBe('boolean');
      }),
    );
  });
});
