import { expect, test } from 'vitest';
import type { Action } from '../../../src/core/action.ts';
import { fault } from '../../../src/core/errors.ts';
import { issued } from '../../../src/core/issued.ts';
import { initialObserved, type Observed } from '../../../src/core/observed.ts';
import { reduce } from '../../../src/core/reduce.ts';
import type { Slot, TunnelEvent } from '../../../src/core/tunnel-event.ts';

const REFUSED = fault('NGROK_AUTH_REFUSED', 'The edge refuses the authtoken.', false, 'ERR_NGROK_107');

/** A supervisor's memory, a second older with each step. */
const story = () => {
  let o: Observed = initialObserved(0);
  let now = 0;
  const act = (action: Action, id = ''): void => {
    now += 1000;
    o = issued(o, action, id, 1, now);
  };
  const on = (event: TunnelEvent): void => {
    now += 1000;
    o = reduce(o, event, { now, random01: 0.5 });
  };
  const start = (id: string, slot: Slot = 'a'): void =>
    act({ kind: 'start', slot, epoch: 0, connectDeadlineMs: 5000 }, id);
  return {
    act,
    on,
    start,
    connect: (id: string, slot: Slot = 'a'): void => {
      start(id, slot);
      on({ tunnel: id, type: 'connected', sessionId: id, tookMs: 1 });
    },
    exit: (tunnel: string, signal: string | null = null): void =>
      on({ tunnel, type: 'exited', code: null, signal, stderr: '' }),
    reconnects: () => o.reconnects,
  };
};

const lose = (s: ReturnType<typeof story>, tunnel: string): void => {
  s.on({ tunnel, type: 'disconnected' });
  s.on({ tunnel, type: 'lost', reason: 'clock' });
  s.act({ kind: 'kill', tunnel });
  s.exit(tunnel, 'SIGKILL');
};

test('a session after one that was lost counts, although its process was ended by us', () => {
  const s = story();
  s.connect('t1');
  expect(s.reconnects()).toBe(0);
  lose(s, 't1');
  s.connect('t2');
  expect(s.reconnects()).toBe(1);
  lose(s, 't2');
  s.connect('t3');
  expect(s.reconnects()).toBe(2);
});

test('it counts too when the first tries in between fail, and when it is on the other authtoken', () => {
  const s = story();
  s.connect('t1', 'b');
  lose(s, 't1');
  s.start('t2', 'b');
  s.on({ tunnel: 't2', type: 'connect-failed', fault: REFUSED });
  s.exit('t2');
  s.act({ kind: 'fall-back', to: 'a', fault: REFUSED });
  s.connect('t3', 'a');
  expect(s.reconnects()).toBe(1);
});

test('a process that crashed and a session that came back by itself count once each', () => {
  const s = story();
  s.connect('t1');
  s.exit('t1', 'SIGSEGV');
  s.connect('t2');
  expect(s.reconnects()).toBe(1);
  s.on({ tunnel: 't2', type: 'disconnected' });
  s.on({ tunnel: 't2', type: 'reconnected' });
  expect(s.reconnects()).toBe(2);
});

test('planned changes do not count: a swap, one that breaks first, and a stop with a later start', () => {
  const s = story();
  s.connect('t1');
  s.connect('t2', 'b');
  s.act({ kind: 'drain', tunnel: 't1' });
  s.exit('t1');
  // Break-first: the old one is gone before the new one comes.
  s.act({ kind: 'drain', tunnel: 't2' });
  s.exit('t2');
  s.start('t3');
  s.on({ tunnel: 't3', type: 'connect-failed', fault: REFUSED });
  s.exit('t3');
  s.connect('t4');
  expect(s.reconnects()).toBe(0);
});
