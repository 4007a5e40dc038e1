/** Lists: newest first, `limit`, `before_id`, `filter`, and the URL of the next page. */
import { parseFilter } from './filter.ts';
import { hasIdForm } from './ids.ts';
import { type Problem, problem } from './problems.ts';
import type { Shown } from './route.ts';

export const LIST_QUERY: readonly string[] = ['limit', 'before_id', 'filter'];
const HIGHEST_LIMIT = 100;

/** An item of a list; `filterView` is what a filter sees, where that differs from what is shown. */
export interface Listed {
  readonly id: string;
  readonly shown: Shown;
  readonly filterView?: Shown;
}

export interface Listing {
  readonly listKey: string;
  readonly idPrefix: string;
  readonly filterable: readonly string[];
  /** URL of the list without a query. */
  readonly uri: string;
}

const limitOf = (query: URLSearchParams): number | Problem => {
  const text = query.get('limit');
  if (text === null) return HIGHEST_LIMIT;
  if (!/^-?\d+$/.test(text)) return problem('limitNotNumber');
  const limit = Number(text);
  return limit >= 1 && limit <= HIGHEST_LIMIT ? limit : problem('limitOutside');
};

/** `items` come newest first. Ids are ordered by time, so a `before_id` that was deleted meanwhile still has its place. */
export const page = (listing: Listing, items: readonly Listed[], query: URLSearchParams): Shown | Problem => {
  const limit = limitOf(query);
  if (typeof limit === 'object') return limit;
  const before = query.get('before_id');
  if (before !== null && !hasIdForm(before, listing.idPrefix)) return problem('wrongPrefix');
  const text = query.get('filter');
  const filter = text === null ? () => true : parseFilter(text, listing.filterable);
  if (filter === null) return problem('badFilter');

  const matching = items.filter(
    (item) => (before === null || item.id < before) && filter(item.filterView ?? item.shown),
  );
  const shown = matching.slice(0, limit);
  const last = shown.at(-1);
  const next = new URL(listing.uri);
  if (last && matching.length > limit) {
    for (const [name, value] of query) if (name !== 'before_id') next.searchParams.append(name, value);
    next.searchParams.set('before_id', last.id);
  }
  return {
    [listing.listKey]: shown.map((item) => item.shown),
    uri: listing.uri,
    next_page_uri: next.search === '' ? null : next.href,
  };
};
