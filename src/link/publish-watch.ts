/**
 * Finds the topic on which a broker ends the connection instead of saying no: RabbitMQ and AWS IoT do that to a message
 * that the rights do not cover, and would do it for ever, since the device says the same things after each connect.
 *
 * After such an end messages go out one at a time; a topic that was alone on its way at two ends is the one.
 */
import type { Clock } from '../core/clock.ts';

/** A broker may be killed in the very moment of a message, so one end proves nothing. */
const ENDS_TO_BELIEVE = 2;
/** Nobody acknowledges QoS 0: it counts as taken when the connection outlives it by so much. */
const UNACKNOWLEDGED_MS = 1000;

export interface PublishWatch {
  /** Waits for its turn, where one message goes at a time. What it gives is called when the broker took the message, or not. */
  enter(topic: string): Promise<(isTaken: boolean) => void>;
  /** For QoS 0: calls `leave` later, while the connection stands. */
  leaveLater(leave: (isTaken: boolean) => void): void;
  /** True while a message is on its way. */
  isBusy(): boolean;
  /** The connection is over. `isAnswer` says whether a message may be the reason. The topic that is to be left out, or null. */
  ended(isAnswer: boolean): string | null;
}

export const createPublishWatch = (clock: Pick<Clock, 'after'>): PublishWatch => {
  /** Topics on their way on this connection; one may be there twice. */
  let underWay: string[] = [];
  let timers = new Set<() => void>();
  let isCareful = false;
  let turn: Promise<void> = Promise.resolve();
  const ends = new Map<string, number>();

  const begin = (topic: string): ((isTaken: boolean) => void) => {
    const mine = underWay;
    mine.push(topic);
    return (isTaken) => {
      // After the end of the connection this touches nobody's list.
      const at = mine.indexOf(topic);
      if (at >= 0) mine.splice(at, 1);
      if (isTaken) ends.delete(topic);
    };
  };

  return {
    async enter(topic) {
      if (!isCareful) return begin(topic);
      const before = turn;
      const { promise, resolve } = Promise.withResolvers<void>();
      turn = promise;
      await before;
      const leave = begin(topic);
      return (isTaken) => {
        leave(isTaken);
        resolve();
      };
    },
    leaveLater(leave) {
      const mine = timers;
      const cancel = clock.after(UNACKNOWLEDGED_MS, () => {
        mine.delete(give);
        leave(true);
      });
      const give = (): void => {
        cancel();
        leave(false);
      };
      mine.add(give);
    },
    isBusy: () => underWay.length > 0,
    ended(isAnswer) {
      const topics = [...underWay];
      underWay = [];
      for (const give of timers) give();
      timers = new Set();
      turn = Promise.resolve();
      isCareful = isAnswer && topics.length > 0;
      const [topic] = topics;
      if (!isCareful || topic === undefined || topics.length > 1) return null;
      const count = (ends.get(topic) ?? 0) + 1;
      ends.delete(topic);
      if (count >= ENDS_TO_BELIEVE) return topic;
      ends.set(topic, count);
      return null;
    },
  };
};
