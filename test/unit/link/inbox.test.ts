import { expect, test } from 'vitest';
import type { Delivery } from '../../../src/link/connection.ts';
import { createInbox } from '../../../src/link/inbox.ts';
import { flushPromises } from '../../support/manual-clock.ts';

const world = () => {
  const started: string[] = [];
  const acked: string[] = [];
  const finish: (() => void)[] = [];
  const inbox = createInbox((message) => {
    started.push(message.topic);
    return new Promise((resolve) => finish.push(resolve));
  });
  const delivery = (topic: string, bytes = 1): Delivery => ({
    topic,
    payload: new Uint8Array(bytes),
    retain: false,
    ack: () => acked.push(topic),
  });
  return { inbox, started, acked, finish, delivery };
};

test('hands out messages one at a time, in order, and acknowledges each when it is done', async () => {
  const { inbox, started, acked, finish, delivery } = world();
  inbox.hold(false);
  inbox.push(delivery('a'));
  inbox.push(delivery('b'));
  await flushPromises();
  expect({ started, acked }).toEqual({ started: ['a'], acked: [] });
  finish[0]?.();
  await flushPromises();
  expect({ started, acked }).toEqual({ started: ['a', 'b'], acked: ['a'] });
});

test('holds messages back until it is let go', async () => {
  const { inbox, started, delivery } = world();
  inbox.push(delivery('a'));
  await flushPromises();
  expect(started).toEqual([]);
  inbox.hold(false);
  await flushPromises();
  expect(started).toEqual(['a']);
});

test('does not run a redelivered message beside its first copy after a reconnect', async () => {
  const { inbox, started, finish, delivery } = world();
  inbox.hold(false);
  inbox.push(delivery('a'));
  await flushPromises();
  inbox.hold(true);
  inbox.clear();
  inbox.hold(false);
  inbox.push(delivery('a'));
  await flushPromises();
  expect(started).toEqual(['a']);
  finish[0]?.();
  await flushPromises();
  expect(started).toEqual(['a', 'a']);
});

test('leaves messages past its limits unacknowledged with the broker', () => {
  const { inbox, delivery } = world();
  const taken = Array.from({ length: 300 }, (_, i) => inbox.push(delivery(`${i}`)));
  expect(taken.filter(Boolean)).toHaveLength(256);
  inbox.clear();
  expect(inbox.push(delivery('big', 5 * 1024 * 1024))).toBe(false);
  expect(inbox.push(delivery('small'))).toBe(true);
});
