import { expect, test } from 'vitest';
import { fault } from '../../../src/core/errors.ts';
import { INITIAL_HUNT } from '../../../src/link/filter-hunt.ts';
import type { FailureKind } from '../../../src/link/link-errors.ts';
import { AWAY_GRACE_MS, linkProblems, type ProblemFacts } from '../../../src/link/link-problems.ts';

const facts = (over: Partial<ProblemFacts>): ProblemFacts => ({
  hunt: INITIAL_HUNT,
  denied: [],
  credentials: null,
  isDuplicate: false,
  failure: null,
  awayMs: null,
  wallMs: 0,
  ...over,
});

const failure = (kind: FailureKind): ProblemFacts['failure'] => ({
  kind,
  fault: fault('BROKER_NET', 'The broker refuses connections (ECONNREFUSED).', true),
});

const told = (over: Partial<ProblemFacts>): readonly string[] =>
  linkProblems(facts(over)).map((f) => f.message);

test('a link that is away is a problem once that lasts, with the reason of the last try', () => {
  const passing = failure('network');
  expect(told({ failure: passing, awayMs: AWAY_GRACE_MS - 1 })).toEqual([]);
  expect(linkProblems(facts({ failure: passing, awayMs: AWAY_GRACE_MS }))).toEqual([passing?.fault]);
  expect(told({ failure: failure('broker-wide'), awayMs: AWAY_GRACE_MS })).toHaveLength(1);
});

test('what a person has to mend is told at once, and once', () => {
  expect(told({ failure: failure('auth'), awayMs: 0 })).toHaveLength(1);
  expect(told({ failure: failure('auth'), awayMs: AWAY_GRACE_MS })).toHaveLength(1);
});

test('a first try that does not end is a problem too; a link that stands is none', () => {
  expect(linkProblems(facts({ awayMs: AWAY_GRACE_MS }))).toMatchObject([
    { code: 'BROKER_NET', retryable: true },
  ]);
  expect(told({})).toEqual([]);
});
