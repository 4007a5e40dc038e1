/** `/endpoints`: cloud endpoints, made here, and endpoints of agents as the edge has them. */
import { parse } from 'yaml';
import type { EdgeEndpoint, EdgeSession } from '../../contract.ts';
import { crudRoutes } from '../crud.ts';
import { type Body, DESCRIBED, type FieldTable, listOf, textOf } from '../fields.ts';
import type { Listed } from '../paging.ts';
import { isProblem, type Problem, problem } from '../problems.ts';
import type { Caller, Route, Shown } from '../route.ts';
import { type Row, rowList, rowText } from '../rows.ts';
import { timeText } from '../time-text.ts';
import { ref, type World } from '../world.ts';
import { agentPlace, cloudPlace, DEFAULT_PORTS, placeOf } from './endpoint-place.ts';
import { type EndpointUrl, parseEndpointUrl } from './endpoint-url.ts';
import { reservationOf } from './reserved-domains.ts';

const PATH = 'endpoints';
const FIELDS: FieldTable = {
  ...DESCRIBED,
  url: { kind: 'string', required: true },
  type: { kind: 'string' },
  traffic_policy: { kind: 'string' },
  bindings: { kind: 'strings', oneOf: ['public', 'internal', 'kubernetes'] },
  pooling_enabled: { kind: 'boolean' },
};
const FILTERABLE = [
  ...['id', 'created_at', 'description', 'metadata', 'principal.id', 'type', 'binding', 'url'],
  ...['pooling_enabled', 'scheme', 'region', 'name'],
];

const isPolicy = (text: string): boolean => {
  try {
    const policy: unknown = parse(text);
    return policy === null || (typeof policy === 'object' && !Array.isArray(policy));
  } catch {
    return false;
  }
};

export const endpointRoutes = (world: World): readonly Route[] => {
  const rows = world.rows(PATH);

  const agentEndpoints = (account: string): readonly (readonly [EdgeSession, EdgeEndpoint])[] =>
    [...world.edge.sessions.values()]
      .filter((session) => session.credential.account === account)
      .flatMap((session) => [...session.endpoints.values()].map((endpoint) => [session, endpoint] as const));

  const domainRef = (account: string, host: string): Shown => {
    const row = reservationOf(world, account, host);
    return row ? { domain: ref(world, 'reserved_domains', row.id) } : {};
  };

  const showAgent = (session: EdgeSession, endpoint: EdgeEndpoint): Shown => {
    const port = endpoint.port ?? DEFAULT_PORTS[endpoint.proto];
    return {
      id: endpoint.id,
      type: 'ephemeral',
      url: endpoint.url,
      public_url: endpoint.url,
      ...placeOf({ scheme: endpoint.proto, host: endpoint.host, port }),
      bindings: [endpoint.binding],
      pooling_enabled: endpoint.pooled,
      name: '',
      description: '',
      metadata: endpoint.metadata,
      region: 'local',
      created_at: timeText(endpoint.createdAtMs),
      updated_at: timeText(endpoint.createdAtMs),
      ...domainRef(endpoint.account, endpoint.host),
      principal: { id: session.credential.ownerId, uri: '' },
      tunnel: ref(world, 'tunnels', endpoint.id.replace(/^ep_/, 'tn_')),
      tunnel_session: ref(world, 'tunnel_sessions', session.id),
      upstream_url: endpoint.forwardsTo,
      upstream_protocol: endpoint.forwardsProto === '' ? 'http1' : endpoint.forwardsProto,
      traffic_policy:
        typeof endpoint.opts['TrafficPolicy'] === 'string' ? endpoint.opts['TrafficPolicy'] : '',
    };
  };

  const showCloud = (row: Row): Shown => {
    const url = rowText(row, 'url');
    const place = parseEndpointUrl(url);
    return {
      id: row.id,
      uri: world.uri(PATH, row.id),
      type: 'cloud',
      url,
      public_url: url,
      ...(place ? { ...placeOf(place), ...domainRef(row.account, place.host) } : {}),
      bindings: rowList(row, 'bindings'),
      pooling_enabled: row.values['pooling_enabled'] === true,
      name: '',
      description: rowText(row, 'description'),
      metadata: rowText(row, 'metadata'),
      region: '',
      created_at: timeText(row.createdAtMs),
      updated_at: rowText(row, 'updated_at'),
      principal: { id: rowText(row, 'owner'), uri: '' },
      traffic_policy: rowText(row, 'traffic_policy'),
    };
  };

  const listed = (id: string, shown: Shown, binding: string): Listed => ({
    id,
    shown,
    filterView: { ...shown, binding },
  });

  /** 18009, 18016 or 18017 when the place is held by an endpoint that the new one cannot be pooled with. */
  const conflict = (
    account: string,
    self: Row | null,
    url: EndpointUrl,
    binding: string,
    isPooled: boolean,
  ) => {
    const place = cloudPlace(url, binding);
    const clouds = rows.list(account).filter((row) => {
      const other = parseEndpointUrl(rowText(row, 'url'));
      return row !== self && other !== null && cloudPlace(other, rowList(row, 'bindings')[0] ?? '') === place;
    });
    const agents = agentEndpoints(account).filter(([, endpoint]) => agentPlace(endpoint) === place);
    if (clouds.length + agents.length === 0) return null;
    const areOthersPooled =
      clouds.every((row) => row.values['pooling_enabled'] === true) &&
      agents.every(([, endpoint]) => endpoint.pooled);
    if (isPooled) return areOthersPooled ? null : problem('othersNotPooled');
    return problem(clouds.length > 0 && !areOthersPooled ? 'cloudTaken' : 'pooledOthers');
  };

  /** The values after a creation or an update, or what is wrong with them. */
  const settle = (caller: Caller, row: Row | null, body: Body): Body | Problem => {
    const values: Body = {
      description: '',
      metadata: '',
      traffic_policy: '',
      pooling_enabled: false,
      owner: caller.ownerId,
      ...row?.values,
      ...body,
    };
    const url = parseEndpointUrl(textOf(values, 'url'));
    if (!url) return problem('badUrl');
    const before = row === null ? null : parseEndpointUrl(rowText(row, 'url'));
    if (before !== null && before.scheme !== url.scheme) return problem('schemeChange');
    if (!isPolicy(textOf(values, 'traffic_policy'))) return problem('badPolicy');
    const isInternal = url.host.endsWith('.internal');
    const bindings = body['bindings'] === undefined && isInternal ? ['internal'] : listOf(values, 'bindings');
    const [binding = 'public', ...more] = bindings;
    if (more.length > 0 || isInternal !== (binding === 'internal')) {
      return problem('badValue', { field: 'bindings' });
    }
    return (
      conflict(caller.account, row, url, binding, values['pooling_enabled'] === true) ?? {
        ...values,
        url: textOf(values, 'url').replace(/\/$/, ''),
        bindings: [binding],
        updated_at: timeText(world.clock.wall()),
      }
    );
  };

  const isAgents = (account: string, id: string): boolean =>
    agentEndpoints(account).some(([, endpoint]) => endpoint.id === id);
  const cloudRow = (caller: Caller, id: string): Row | Problem =>
    rows.get(caller.account, id) ?? problem(isAgents(caller.account, id) ? 'agentEndpoint' : 'noRoute');

  return crudRoutes(world, {
    path: PATH,
    listKey: PATH,
    idPrefix: 'ep',
    fields: FIELDS,
    filterable: FILTERABLE,
    emptyPatch: 'endpointNoChange',
    queryFilters: ['id', 'url'],
    list: (caller) =>
      [
        ...agentEndpoints(caller.account).map(([session, endpoint]) =>
          listed(endpoint.id, showAgent(session, endpoint), endpoint.binding),
        ),
        ...rows
          .list(caller.account)
          .map((row) => listed(row.id, showCloud(row), rowList(row, 'bindings')[0] ?? '')),
      ].sort((a, b) => (a.id < b.id ? 1 : -1)),
    create: (caller, body) => {
      if (textOf(body, 'type') !== 'cloud') return problem('notCloud');
      const values = settle(caller, null, body);
      if (isProblem(values)) return values;
      const id = world.newId('ep');
      const row: Row = { id, account: caller.account, createdAtMs: world.clock.wall(), values };
      rows.add(row);
      return showCloud(row);
    },
    update: (caller, id, body) => {
      const row = cloudRow(caller, id);
      if (isProblem(row)) return row;
      if (body['type'] !== undefined && body['type'] !== 'cloud') return problem('notCloud');
      const values = settle(caller, row, body);
      if (isProblem(values)) return values;
      row.values = values;
      return showCloud(row);
    },
    remove: (caller, id) => {
      const row = cloudRow(caller, id);
      if (isProblem(row)) return row;
      rows.remove(row);
      return null;
    },
  });
};
