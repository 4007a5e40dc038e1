import { expect, test } from 'vitest';
import { matchesFilter } from '../../../src/fleet/fleet-link.ts';

test.each([
  ['lk1/acme/d/press-7/health', 'lk1/acme/d/press-7/health', true],
  ['lk1/acme/d/+/health', 'lk1/acme/d/press-7/health', true],
  ['lk1/acme/d/+/health', 'lk1/acme/d/press-7/hello', false],
  ['lk1/acme/d/+', 'lk1/acme/d/press-7/hello', false],
  ['lk1/acme/#', 'lk1/acme/d/press-7/hello', true],
  ['lk1/acme/#', 'lk1/acme', true],
  ['lk1/acme/d/press-7/health', 'lk1/acme/d/press-7', false],
  ['#', 'a', true],
])('filter %s, topic %s: %s', (filter, topic, matches) => {
  expect(matchesFilter(filter, topic)).toBe(matches);
});
