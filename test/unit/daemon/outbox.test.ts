import { expect, test } from 'vitest';
import { fault, LockkeeperError } from '../../../src/core/errors.ts';
import { createOutbox, MAX_EVENTS, type Outbox } from '../../../src/daemon/outbox.ts';
import type { OutboundMessage } from '../../../src/daemon/ports.ts';
import { manualClock } from '../../support/manual-clock.ts';

const inMemory = (): Outbox => createOutbox({ clock: manualClock(), file: null });

const message = (topic: string): OutboundMessage => ({ topic, payload: '{}', qos: 1 });

test('results go before events, each in order', async () => {
  const outbox = inMemory();
  for (const topic of ['e1', 'e2']) outbox.event(message(topic));
  for (const topic of ['r1', 'r2']) outbox.result(message(topic));
  const sent: string[] = [];
  await outbox.flush({ publish: async ({ topic }) => void sent.push(topic) });
  expect(sent).toEqual(['r1', 'r2', 'e1', 'e2']);
  expect(outbox.waiting()).toBe(0);
});

test('what the link did not take waits for the next one', async () => {
  const outbox = inMemory();
  outbox.result(message('r1'));
  await outbox.flush({ publish: () => Promise.reject(new Error('gone')) });
  expect(outbox.waiting()).toBe(1);
  const sent: string[] = [];
  await outbox.flush({ publish: async ({ topic }) => void sent.push(topic) });
  expect(sent).toEqual(['r1']);
});

test('a topic that the broker denies is dropped and counted, and holds up nothing', async () => {
  const outbox = inMemory();
  for (const topic of ['denied', 'e2']) outbox.event(message(topic));
  const sent: string[] = [];
  await outbox.flush({
    publish: async ({ topic }) => {
      if (topic === 'denied') throw new LockkeeperError(fault('BROKER_PUBLISH_DENIED', 'no', false));
      sent.push(topic);
    },
  });
  expect(sent).toEqual(['e2']);
  expect(outbox.dropped()).toBe(1);
});

test('events beyond the ring push out the oldest', () => {
  const outbox = inMemory();
  for (let i = 0; i < MAX_EVENTS + 3; i += 1) outbox.event(message(`e${i}`));
  expect(outbox.waiting()).toBe(MAX_EVENTS);
  expect(outbox.dropped()).toBe(3);
});
