/** Makes the five routes of a resource from its definition. */
import { type Body, DESCRIBED, type FieldTable } from './fields.ts';
import { LIST_QUERY, type Listed, page } from './paging.ts';
import { isProblem, type Problem, type ProblemName, problem } from './problems.ts';
import { type Caller, created, done, okay, type Route, type Shown } from './route.ts';
import type { Row } from './rows.ts';
import { timeText } from './time-text.ts';
import { audit, type World } from './world.ts';

/** A resource over any store. Methods that are left out make no route. */
export interface Resource {
  readonly path: string;
  readonly listKey: string;
  readonly idPrefix: string;
  readonly fields: FieldTable;
  readonly filterable: readonly string[];
  /** What an update without a field is refused with; null lets it pass. */
  readonly emptyPatch: ProblemName | null;
  /** Newest first. */
  list(caller: Caller): readonly Listed[];
  create?(caller: Caller, body: Body): Shown | Problem;
  update?(caller: Caller, id: string, body: Body): Shown | Problem;
  /** Null when done. */
  remove?(caller: Caller, id: string): Problem | null;
  /** Names of deprecated filters in the query; each value must equal the shown field of that name. */
  readonly queryFilters?: readonly string[];
}

const NOT_FOUND = problem('noRoute');

const oldFilters =
  (names: readonly string[], query: URLSearchParams) =>
  ({ shown }: Listed): boolean =>
    names.every((name) => !query.has(name) || query.getAll(name).includes(String(shown[name])));

export const crudRoutes = (world: World, resource: Resource): readonly Route[] => {
  const { path, idPrefix, fields } = resource;
  const item = `${path}/:id`;
  const queryFilters = resource.queryFilters ?? [];
  const routes: Route[] = [
    {
      method: 'GET',
      path,
      body: null,
      query: [...LIST_QUERY, ...queryFilters],
      run: ({ caller, query }) => {
        const items = resource.list(caller).filter(oldFilters(queryFilters, query));
        const result = page({ ...resource, uri: world.uri(path) }, items, query);
        return isProblem(result) ? result : okay(result);
      },
    },
    {
      method: 'GET',
      path: item,
      body: null,
      query: [],
      idPrefix,
      run: ({ caller, params }) => {
        const found = resource.list(caller).find(({ id }) => id === params['id']);
        return found ? okay(found.shown) : NOT_FOUND;
      },
    },
  ];
  const { create, update, remove, emptyPatch } = resource;
  if (create) {
    routes.push({
      method: 'POST',
      path,
      body: { fields, at: 'create' },
      query: [],
      run: ({ caller, body }) => {
        const result = create(caller, body);
        return isProblem(result) ? result : created(result);
      },
    });
  }
  if (update) {
    routes.push({
      method: 'PATCH',
      path: item,
      body: { fields, at: 'update' },
      query: [],
      idPrefix,
      run: ({ caller, params, body }) => {
        if (Object.keys(body).length === 0 && emptyPatch !== null) return problem(emptyPatch);
        const result = update(caller, params['id'] ?? '', body);
        return isProblem(result) ? result : okay(result);
      },
    });
  }
  if (remove) {
    routes.push({
      method: 'DELETE',
      path: item,
      body: null,
      query: [],
      idPrefix,
      run: ({ caller, params }) => remove(caller, params['id'] ?? '') ?? done,
    });
  }
  return routes;
};

/** A resource whose rows are what was asked for, with a few rules of its own. */
export interface PlainDefinition {
  readonly path: string;
  readonly listKey: string;
  readonly idPrefix: string;
  /** Word for audit events; null when the service has none for it. */
  readonly audited: string | null;
  /** Without description and metadata, which all have. */
  readonly fields: FieldTable;
  /** What fields are when they are not given. */
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly filterable?: readonly string[];
  readonly emptyPatch?: ProblemName;
  /** Fields that are ids of other resources: `ip_policy_id` names an item of `ip_policies`. */
  readonly refers?: Readonly<Record<string, string>>;
  /** Cross-checks, and values that the service decides; gets the values after the change. */
  prepare?(values: Body, context: { readonly caller: Caller; readonly row: Row | null }): Body | Problem;
  /** Fields that differ from the values. */
  show?(row: Row): Shown;
  mayRemove?(caller: Caller, row: Row): Problem | null;
  removed?(row: Row): void;
}

const checkRefs = (world: World, definition: PlainDefinition, caller: Caller, body: Body): Problem | null => {
  for (const [field, path] of Object.entries(definition.refers ?? {})) {
    const value = body[field];
    const ids = Array.isArray(value) ? value : value === undefined || value === '' ? [] : [value];
    for (const id of ids)
      if (!world.rows(path).get(caller.account, String(id))) return problem('noRoute', { field });
  }
  return null;
};

/** A row as shown: id, uri, time, its values, and what the definition says differs (undefined hides a field). */
export const showRow = (world: World, definition: PlainDefinition, row: Row): Shown => ({
  id: row.id,
  uri: world.uri(definition.path, row.id),
  created_at: timeText(row.createdAtMs),
  ...row.values,
  ...definition.show?.(row),
});

export const plainResource = (world: World, definition: PlainDefinition): Resource => {
  const { path, idPrefix } = definition;
  const rows = world.rows(path);
  const show = (row: Row): Shown => showRow(world, definition, row);
  const note = (caller: Caller, verb: string, row: Row): void => {
    if (definition.audited !== null) audit(world, caller, `${definition.audited}_${verb}`, show(row));
  };
  const settle = (caller: Caller, row: Row | null, body: Body): Body | Problem => {
    const values = { ...(row?.values ?? { description: '', metadata: '', ...definition.defaults }), ...body };
    return (
      checkRefs(world, definition, caller, body) ?? definition.prepare?.(values, { caller, row }) ?? values
    );
  };
  return {
    path,
    listKey: definition.listKey,
    idPrefix,
    fields: { ...DESCRIBED, ...definition.fields },
    filterable: ['id', 'created_at', 'description', 'metadata', ...(definition.filterable ?? [])],
    emptyPatch: definition.emptyPatch ?? null,
    list: (caller) => rows.list(caller.account).map((row) => ({ id: row.id, shown: show(row) })),
    create: (caller, body) => {
      const values = settle(caller, null, body);
      if (isProblem(values)) return values;
      const row: Row = {
        id: world.newId(idPrefix),
        account: caller.account,
        createdAtMs: world.clock.wall(),
        values,
      };
      rows.add(row);
      note(caller, 'created', row);
      return show(row);
    },
    update: (caller, id, body) => {
      const row = rows.get(caller.account, id);
      if (!row) return NOT_FOUND;
      const values = settle(caller, row, body);
      if (isProblem(values)) return values;
      row.values = values;
      note(caller, 'updated', row);
      return show(row);
    },
    remove: (caller, id) => {
      const row = rows.get(caller.account, id);
      if (!row) return NOT_FOUND;
      const refused = definition.mayRemove?.(caller, row) ?? null;
      if (refused) return refused;
      rows.remove(row);
      definition.removed?.(row);
      note(caller, 'deleted', row);
      return null;
    },
  };
};
