import { type Fault, fault } from '../core/errors.ts';

/** A topic that the broker denied is left alone this long. */
const DENIED_MS = 600_000;
const MOST_TOPICS = 64;

/** The broker said no in its answer, or ended the connection. */
export type Denial = 'answer' | 'close';

/** Topics on which the broker denied a publish; the oldest are forgotten when there are too many. */
export interface DeniedTopics {
  add(topic: string, now: number, denial: Denial): void;
  /** Why nothing is published there for now; null when it is. */
  refusal(topic: string, now: number): Fault | null;
  problems(now: number): readonly Fault[];
}

export const deniedFault = (topic: string, denial: Denial): Fault =>
  fault(
    'BROKER_PUBLISH_DENIED',
    denial === 'answer'
      ? `The broker does not let this client publish to ${topic}.`
      : `The broker ends the connection on messages to ${topic}, probably for want of a right; it is left alone for now.`,
    true,
  );

/** `now` is monotonic milliseconds throughout. */
export const createDeniedTopics = (): DeniedTopics => {
  const known = new Map<string, { readonly untilMs: number; readonly denial: Denial }>();
  const prune = (now: number): void => {
    for (const [topic, { untilMs }] of known) if (untilMs <= now) known.delete(topic);
  };
  return {
    add(topic, now, denial) {
      known.delete(topic);
      known.set(topic, { untilMs: now + DENIED_MS, denial });
      const [oldest] = known.keys();
      if (known.size > MOST_TOPICS && oldest !== undefined) known.delete(oldest);
    },
    refusal(topic, now) {
      prune(now);
      const entry = known.get(topic);
      return entry === undefined ? null : deniedFault(topic, entry.denial);
    },
    problems(now) {
      prune(now);
      return [...known].map(([topic, { denial }]) => deniedFault(topic, denial));
    },
  };
};
