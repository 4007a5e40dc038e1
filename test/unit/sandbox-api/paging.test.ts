import { expect, test } from 'vitest';
import { createIds } from '../../../src/sandbox/api/ids.ts';
import { page } from '../../../src/sandbox/api/paging.ts';
import { isProblem } from '../../../src/sandbox/api/problems.ts';
import { manualClock } from '../../support/manual-clock.ts';

const newId = createIds(manualClock());
const ids = Array.from({ length: 7 }, () => `cr_${newId()}`).reverse();
const items = ids.map((id, index) => ({ id, shown: { id, odd: index % 2 === 1 } }));
const listing = { listKey: 'credentials', idPrefix: 'cr', filterable: ['odd'], uri: 'http://h/credentials' };

const idsOf = (answer: object): unknown =>
  (answer as { credentials: readonly { id: string }[] }).credentials.map((item) => item.id);
const ask = (query: string, of = items) => page(listing, of, new URLSearchParams(query));
const follow = (query: string): unknown[] => {
  const seen: unknown[] = [];
  let next: string | null = query;
  while (next !== null) {
    const answer = ask(next) as { next_page_uri: string | null };
    seen.push(idsOf(answer));
    next = answer.next_page_uri === null ? null : new URL(answer.next_page_uri).search;
  }
  return seen;
};

test('walks a list page by page to its end, keeping limit and filter', () => {
  expect(follow('limit=3')).toEqual([ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]);
  expect(follow(new URLSearchParams({ limit: '2', filter: 'obj.odd == true' }).toString())).toEqual([
    [ids[1], ids[3]],
    [ids[5]],
  ]);
});

test('has no further page when the last one is exactly full', () => {
  expect(ask('limit=7')).toMatchObject({ next_page_uri: null, uri: 'http://h/credentials' });
});

test('goes on where it was although the item at the border was deleted meanwhile', () => {
  const rest = items.filter((_, index) => index !== 2);
  expect(idsOf(ask(`limit=2&before_id=${ids[2]}`, rest))).toEqual([ids[3], ids[4]]);
});

test.each([
  ['limit=0', 'limitOutside'],
  ['limit=101', 'limitOutside'],
  ['limit=-1', 'limitOutside'],
  ['limit=x', 'limitNotNumber'],
  ['limit=', 'limitNotNumber'],
  ['before_id=ak_1', 'wrongPrefix'],
  ['filter=obj.id', 'badFilter'],
])('refuses %s', (query, name) => {
  const answer = ask(query);
  expect(isProblem(answer) && answer.name).toBe(name);
});
