import { expect, test } from 'vitest';
import type { Delivery } from '../../../src/link/connection.ts';
import { createInbox, FLEET_BACKLOG } from '../../../src/link/inbox.ts';
import { flushPromises } from '../../support/manual-clock.ts';
import { waitFor } from '../../support/wait-for.ts';

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
  const taken = Array.from({ length: 5000 }, (_, i) => inbox.push(delivery(`${i}`)));
  expect(taken.filter(Boolean)).toHaveLength(4096);
  inbox.clear();
  expect(inbox.push(delivery('big', 5 * 1024 * 1024))).toBe(false);
  expect(inbox.push(delivery('small'))).toBe(true);
});

test.each([
  ['messages', 256, 1],
  ['bytes', 32, 64 * 1024],
])('asks to read no more at so many %s, until half of it is handled', async (_of, count, bytes) => {
  const { inbox, finish, delivery } = world();
  inbox.hold(false);
  // The first is being handled: it waits no more.
  for (let i = 0; i < count; i += 1) {
    inbox.push(delivery(`${i}`, bytes));
    expect(inbox.room()).toBeNull();
  }
  inbox.push(delivery('one more', bytes));
  const room = inbox.room();
  let isResolved = false;
  void room?.then(() => {
    isResolved = true;
  });
  for (let i = 0; i < count / 2; i += 1) {
    await flushPromises();
    expect(isResolved).toBe(false);
    finish[i]?.();
  }
  await flushPromises();
  expect(isResolved).toBe(true);
  expect(inbox.room()).toBeNull();
});

test('reads on while messages are held back, and when the connection ends', async () => {
  const { inbox, delivery } = world();
  for (let i = 0; i < 300; i += 1) inbox.push(delivery(`${i}`));
  expect(inbox.room()).toBeNull();
  inbox.hold(false);
  const room = inbox.room();
  expect(room).not.toBeNull();
  inbox.hold(true);
  inbox.clear();
  await room;
});

test("an operator's inbox takes what a whole fleet has stored, all at once, in order and each once", async () => {
  const seen: string[] = [];
  let acks = 0;
  const inbox = createInbox((message) => {
    seen.push(message.topic);
    return Promise.resolve();
  }, FLEET_BACKLOG);
  const topics = Array.from({ length: 5000 }, (_, i) => `t${i}`);
  for (const topic of topics) {
    const isTaken = inbox.push({
      topic,
      payload: new Uint8Array(1),
      retain: true,
      ack: () => {
        acks += 1;
      },
    });
    expect(isTaken).toBe(true);
  }
  inbox.hold(false);
  await waitFor(() => acks === topics.length, { what: 'every acknowledgement' });
  expect(seen).toEqual(topics);
  // What comes later is handled too.
  inbox.push({ topic: 'late', payload: new Uint8Array(1), retain: false, ack: () => undefined });
  await flushPromises();
  expect(seen.at(-1)).toBe('late');
});
