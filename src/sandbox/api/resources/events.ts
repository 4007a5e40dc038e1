/** `/event_destinations` and `/event_subscriptions` with its sources. Nothing is ever sent to a destination. */
import { crudRoutes, type PlainDefinition, plainResource } from '../crud.ts';
import { type Body, textOf } from '../fields.ts';
import { type Problem, problem } from '../problems.ts';
import { created, done, okay, type Route, type Shown } from '../route.ts';
import { type Row, rowList } from '../rows.ts';
import { ref, type World } from '../world.ts';

const TARGETS = ['firehose', 'kinesis', 'cloudwatch_logs', 'datadog', 'azure_logs_ingestion'] as const;
const AWS_TARGETS: readonly string[] = ['firehose', 'kinesis', 'cloudwatch_logs'];

const AUDITED = [
  ...['api_key', 'certificate_authority', 'tunnel_credential', 'event_destination', 'event_subscription'],
  ...['ip_policy', 'ip_policy_rule', 'ip_restriction', 'tcp_address', 'domain', 'ssh_certificate_authority'],
  ...['ssh_public_key', 'ssh_host_certificate', 'ssh_user_certificate', 'secret', 'tls_certificate', 'vault'],
];
const SOURCE_TYPES = new Set([
  ...['agent_session_start', 'agent_session_stop', 'http_request_complete', 'tcp_connection_closed'].map(
    (name) => `${name}.v0`,
  ),
  ...AUDITED.flatMap((name) => [`${name}_created.v0`, `${name}_updated.v0`, `${name}_deleted.v0`]),
]);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const hasAuth = (target: Record<string, unknown>): boolean => {
  const auth = target['auth'];
  return isRecord(auth) && isRecord(auth['role'] ?? null) !== isRecord(auth['creds'] ?? null);
};

const checkTarget = (target: unknown): Problem | null => {
  if (!isRecord(target)) return problem('notOneTarget');
  const given = Object.entries(target).filter(([, value]) => value !== null);
  const [name, value] = given[0] ?? ['', null];
  const isKnown = TARGETS.some((known) => known === name);
  if (given.length !== 1 || !isKnown || !isRecord(value)) return problem('notOneTarget');
  return AWS_TARGETS.includes(name) && !hasAuth(value) ? problem('badAwsAuth') : null;
};

const destinations = (world: World): PlainDefinition => ({
  path: 'event_destinations',
  listKey: 'event_destinations',
  idPrefix: 'ed',
  audited: 'event_destination',
  fields: { format: { kind: 'string', required: true }, target: { kind: 'object', required: true } },
  defaults: {},
  prepare: (values) => {
    const format = textOf(values, 'format').toLowerCase();
    if (format !== 'json') return problem('badFormat');
    return checkTarget(values['target']) ?? { ...values, format };
  },
  show: (row) => {
    const target = row.values['target'];
    return {
      target: Object.fromEntries(
        TARGETS.map((name) => [name, isRecord(target) ? (target[name] ?? null) : null]),
      ),
    };
  },
  mayRemove: (caller, row) => {
    const isUsed = world
      .rows('event_subscriptions')
      .list(caller.account)
      .some((other) => rowList(other, 'destination_ids').includes(row.id));
    return isUsed ? problem('inUse') : null;
  },
});

const typesOf = (sources: unknown): readonly string[] =>
  Array.isArray(sources) ? sources.map((source: Body) => textOf(source, 'type')) : [];

const SUBSCRIPTIONS = 'event_subscriptions';

const sourceShown = (world: World, row: Row, type: string): Shown => ({
  type,
  uri: `${world.uri(SUBSCRIPTIONS, row.id)}/sources/${type}`,
});

const subscriptions = (world: World): PlainDefinition => ({
  path: SUBSCRIPTIONS,
  listKey: SUBSCRIPTIONS,
  idPrefix: 'esb',
  audited: 'event_subscription',
  fields: { sources: { kind: 'objects' }, destination_ids: { kind: 'strings', ids: 'ed' } },
  defaults: { sources: [], destination_ids: [] },
  refers: { destination_ids: 'event_destinations' },
  prepare: (values) => {
    const sources = Array.isArray(values['sources']) ? (values['sources'] as readonly Body[]) : [];
    // Filters and fields of a source are in no schema of the public API.
    const extra = sources.flatMap((source) => Object.keys(source)).find((name) => name !== 'type');
    if (extra !== undefined) return problem('unknownField', { field: `sources.${extra}` });
    const bad = typesOf(sources).find((type) => !SOURCE_TYPES.has(type));
    return bad === undefined ? values : problem('badSource', { type: bad });
  },
  show: (row) => ({
    destination_ids: undefined,
    sources: typesOf(row.values['sources']).map((type) => sourceShown(world, row, type)),
    destinations: rowList(row, 'destination_ids').map((id) => ref(world, 'event_destinations', id)),
  }),
});

const sourceRoutes = (world: World): readonly Route[] => {
  const path = `${SUBSCRIPTIONS}/:id/sources`;
  const common = { query: [], idPrefix: 'esb' } as const;
  const rowOf = (account: string, params: Readonly<Record<string, string>>): Row | null =>
    world.rows(SUBSCRIPTIONS).get(account, params['id'] ?? '');
  const store = (row: Row, types: readonly string[]): void => {
    row.values = { ...row.values, sources: types.map((type) => ({ type })) };
  };
  /** Runs on an existing source of an existing subscription. */
  const onSource =
    (work: (row: Row, type: string) => ReturnType<Route['run']>): Route['run'] =>
    ({ caller, params }) => {
      const row = rowOf(caller.account, params);
      const type = params['type'] ?? '';
      return row && typesOf(row.values['sources']).includes(type) ? work(row, type) : problem('noRoute');
    };
  const show = (row: Row, type: string): Shown => sourceShown(world, row, type);

  return [
    {
      ...common,
      method: 'GET',
      path,
      body: null,
      run: ({ caller, params }) => {
        const row = rowOf(caller.account, params);
        if (!row) return problem('noRoute');
        return okay({ sources: typesOf(row.values['sources']).map((type) => show(row, type)) });
      },
    },
    {
      ...common,
      method: 'POST',
      path,
      body: { fields: { type: { kind: 'string', required: true } }, at: 'create' },
      run: ({ caller, params, body }) => {
        const row = rowOf(caller.account, params);
        if (!row) return problem('noRoute');
        const type = textOf(body, 'type');
        if (!SOURCE_TYPES.has(type)) return problem('badSource', { type });
        store(row, [...new Set([...typesOf(row.values['sources']), type])]);
        return created(show(row, type));
      },
    },
    {
      ...common,
      method: 'GET',
      path: `${path}/:type`,
      body: null,
      run: onSource((row, type) => okay(show(row, type))),
    },
    {
      ...common,
      method: 'PATCH',
      path: `${path}/:type`,
      body: { fields: {}, at: 'update' },
      run: onSource((row, type) => okay(show(row, type))),
    },
    {
      ...common,
      method: 'DELETE',
      path: `${path}/:type`,
      body: null,
      run: onSource((row, type) => {
        store(
          row,
          typesOf(row.values['sources']).filter((other) => other !== type),
        );
        return done;
      }),
    },
  ];
};

export const eventRoutes = (world: World): readonly Route[] => [
  ...crudRoutes(world, plainResource(world, destinations(world))),
  ...crudRoutes(world, plainResource(world, subscriptions(world))),
  ...sourceRoutes(world),
];
