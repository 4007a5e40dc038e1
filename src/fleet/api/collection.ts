/** The methods that every resource has, over one requester. */
import { isRecord } from '../../protocol/strict-json.ts';
import { type ApiResult, unreadable } from './api-fault.ts';
import type { Requester } from './request.ts';

export interface ListOptions {
  /** A CEL expression over `obj`; see `equals`. */
  readonly filter?: string;
  /** Items per request, 1 to 100. */
  readonly pageSize?: number;
}

export interface Readable<T> {
  /** All items, newest first, over as many pages as there are. A page that fails fails the list: never a part. */
  list(options?: ListOptions): Promise<ApiResult<readonly T[]>>;
  /** One item; null when there is none of this id. */
  get(id: string): Promise<ApiResult<T | null>>;
}

export interface Creatable<T, New> {
  /**
   * Never repeated when it may have been done: a fault with `isUncertain` asks for a look before another attempt.
   */
  create(fields: New): Promise<ApiResult<T>>;
}

export interface Changeable<T, Patch> {
  /** A merge: fields that are absent stay. */
  update(id: string, fields: Patch): Promise<ApiResult<T>>;
}

export interface Removable {
  /** Success also when it is gone already (an earlier attempt whose answer was lost); `wasThere` tells. */
  remove(id: string): Promise<ApiResult<{ readonly wasThere: boolean }>>;
}

export interface Collection<T, New, Patch>
  extends Readable<T>,
    Creatable<T, New>,
    Changeable<T, Patch>,
    Removable {}

/** `obj.FIELD == "VALUE"`, for `filter`. The value may hold anything. */
export const equals = (field: string, value: string): string =>
  `obj.${field} == "${value.replace(/[\\"]/g, '\\$&')}"`;

const ID = /^[A-Za-z0-9_]{1,80}$/;

/** An id as a path segment. Throws a `TypeError` for text that cannot be one, which is a bug of the caller. */
export const segment = (id: string): string => {
  if (!ID.test(id)) throw new TypeError('not an id of the API');
  return id;
};

const MOST_PAGES = 10_000;

/** Follows `next_page_uri` by path and query alone: the origin stays the configured one. */
const nextPath = (uri: unknown, path: string): string | null | undefined => {
  if (uri === null || uri === undefined || uri === '') return null;
  if (typeof uri !== 'string' || !URL.canParse(uri)) return undefined;
  const { pathname, search } = new URL(uri);
  return pathname === path && search !== '' ? `${pathname}${search}` : undefined;
};

const itemsOf = (body: unknown, key: string): readonly unknown[] | undefined => {
  const items = isRecord(body) ? body[key] : undefined;
  return Array.isArray(items) ? items : undefined;
};

/** All pages of a list. A page that cannot be had, or leads back to one that was read, fails the whole. */
export const listAll = async <T>(
  request: Requester,
  path: string,
  key: string,
  options: ListOptions = {},
): Promise<ApiResult<readonly T[]>> => {
  const query = new URLSearchParams({ limit: String(options.pageSize ?? 100) });
  if (options.filter !== undefined) query.set('filter', options.filter);
  const items: T[] = [];
  const seen = new Set<string>();
  let at: string | null = `${path}?${query.toString()}`;
  while (at !== null) {
    if (seen.has(at) || seen.size >= MOST_PAGES) return { ok: false, fault: unreadable(`GET ${path}`, 200) };
    seen.add(at);
    const answer = await request({ method: 'GET', path: at, isRepeatable: true });
    if (!answer.ok) return answer;
    const { body, status } = answer.value;
    const page = itemsOf(body, key);
    const next = nextPath(isRecord(body) ? body['next_page_uri'] : null, path);
    if (page === undefined || next === undefined)
      return { ok: false, fault: unreadable(`GET ${path}`, status) };
    // Each is an object with an id by contract; the types of `resources.ts` say the rest.
    for (const item of page) items.push(item as T);
    at = next;
  }
  return { ok: true, value: items };
};

const objectOf = <T>(what: string, result: Awaited<ReturnType<Requester>>): ApiResult<T> => {
  if (!result.ok) return result;
  const { body, status } = result.value;
  return isRecord(body) ? { ok: true, value: body as T } : { ok: false, fault: unreadable(what, status) };
};

/** Builds the methods for `path` (`/credentials`), whose list answers under `key`. */
export const createCollection = <T, New, Patch>(
  request: Requester,
  path: string,
  key: string = path.slice(1),
): Collection<T, New, Patch> => ({
  list: (options) => listAll<T>(request, path, key, options),
  async get(id) {
    const found = await request({ method: 'GET', path: `${path}/${segment(id)}`, isRepeatable: true });
    if (!found.ok && found.fault.code === 'API_NOT_FOUND') return { ok: true, value: null };
    return objectOf<T>(`GET ${path}`, found);
  },
  async create(fields) {
    return objectOf<T>(
      `POST ${path}`,
      await request({ method: 'POST', path, body: fields, isRepeatable: false }),
    );
  },
  async update(id, fields) {
    const at = `${path}/${segment(id)}`;
    return objectOf<T>(
      `PATCH ${path}`,
      await request({ method: 'PATCH', path: at, body: fields, isRepeatable: true }),
    );
  },
  async remove(id) {
    const gone = await request({ method: 'DELETE', path: `${path}/${segment(id)}`, isRepeatable: true });
    if (gone.ok) return { ok: true, value: { wasThere: true } };
    return gone.fault.code === 'API_NOT_FOUND' ? { ok: true, value: { wasThere: false } } : gone;
  },
});

/** A POST or DELETE without an answer to read; repeatable ones only. */
export const act = async (
  request: Requester,
  method: 'POST' | 'DELETE',
  path: string,
): Promise<ApiResult<void>> => {
  const done = await request({
    method,
    path,
    ...(method === 'POST' ? { body: {} } : {}),
    isRepeatable: true,
  });
  return done.ok ? { ok: true, value: undefined } : done;
};
