import { type Fault, fault } from '../core/errors.ts';

/** A topic that the broker denied is left alone this long. */
const DENIED_MS = 600_000;
const MOST_TOPICS = 64;

/** Topics on which the broker denied a publish; the oldest are forgotten when there are too many. */
export interface DeniedTopics {
  add(topic: string, now: number): void;
  isDenied(topic: string, now: number): boolean;
  problems(now: number): readonly Fault[];
}

export const deniedFault = (topic: string): Fault =>
  fault('BROKER_PUBLISH_DENIED', `The broker does not let this client publish to ${topic}.`, true);

/** `now` is monotonic milliseconds throughout. */
export const createDeniedTopics = (): DeniedTopics => {
  const until = new Map<string, number>();
  const prune = (now: number): void => {
    for (const [topic, endMs] of until) if (endMs <= now) until.delete(topic);
  };
  return {
    add(topic, now) {
      until.delete(topic);
      until.set(topic, now + DENIED_MS);
      const [oldest] = until.keys();
      if (until.size > MOST_TOPICS && oldest !== undefined) until.delete(oldest);
    },
    isDenied(topic, now) {
      prune(now);
      return until.has(topic);
    },
    problems(now) {
      prune(now);
      return [...until.keys()].map(deniedFault);
    },
  };
};
