/** Sends ngrok's own events about agents and credentials to where the operator keeps logs. */
import { parseStrictJson } from '../../protocol/strict-json.ts';
import type { ApiResult, EventDestination, EventSubscription, EventTarget, NgrokApi } from '../api/index.ts';

export const TARGETS = ['datadog', 'kinesis', 'firehose', 'cloudwatch_logs', 'azure_logs_ingestion'] as const;

/** Agents that come and go, and credentials that change: little in volume, and what tells of trouble. */
export const DEFAULT_SOURCES: readonly string[] = [
  'agent_session_start.v0',
  'agent_session_stop.v0',
  'tunnel_credential_created.v0',
  'tunnel_credential_updated.v0',
  'tunnel_credential_deleted.v0',
];

const AUDITED = [
  ...['api_key', 'certificate_authority', 'domain', 'event_destination', 'event_subscription', 'ip_policy'],
  ...[
    'ip_policy_rule',
    'ip_restriction',
    'secret',
    'tcp_address',
    'tls_certificate',
    'tunnel_credential',
    'vault',
  ],
];

/** What anybody does to the account. */
export const AUDIT_SOURCES: readonly string[] = AUDITED.flatMap((what) =>
  ['created', 'updated', 'deleted'].map((change) => `${what}_${change}.v0`),
);

export interface EventsOptions {
  readonly tenant: string;
  readonly name: string;
  readonly sources: readonly string[];
  /** Exactly one member. Holds secrets. Null leaves a destination that is there as it is. */
  readonly target: EventTarget | null;
  readonly isDryRun: boolean;
}

export interface EventsPlan {
  readonly destination: 'create' | 'replace' | 'keep';
  readonly subscription: 'create' | 'update' | 'keep';
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly destinationId: string | null;
  readonly subscriptionId: string | null;
}

const tagText = (tenant: string, name: string): string =>
  JSON.stringify({ lk: 1, kind: 'events', tenant, name });

const isOurs =
  (tenant: string, name: string) =>
  ({ metadata }: { readonly metadata: string }): boolean => {
    const json = parseStrictJson(metadata);
    return json.ok && JSON.stringify(json.value) === tagText(tenant, name);
  };

/** What is to be done. Pure. */
export const planEvents = (
  options: EventsOptions,
  destination: EventDestination | undefined,
  subscription: EventSubscription | undefined,
): EventsPlan => {
  const has = new Set(subscription?.sources.map(({ type }) => type) ?? []);
  const wanted = new Set(options.sources);
  const add = [...wanted].filter((type) => !has.has(type));
  const remove = [...has].filter((type) => !wanted.has(type));
  const isJoined = subscription?.destinations.some(({ id }) => id === destination?.id) === true;
  const isKept = isJoined && add.length === 0 && remove.length === 0;
  return {
    destination: destination === undefined ? 'create' : options.target === null ? 'keep' : 'replace',
    subscription: subscription === undefined ? 'create' : isKept ? 'keep' : 'update',
    add,
    remove,
    destinationId: destination?.id ?? null,
    subscriptionId: subscription?.id ?? null,
  };
};

type EventsApi = Pick<NgrokApi, 'eventDestinations' | 'eventSubscriptions'>;

const ensureDestination = async (
  api: EventsApi,
  options: EventsOptions,
  plan: EventsPlan,
): Promise<ApiResult<string>> => {
  const { target } = options;
  if (plan.destinationId !== null && target === null) return { ok: true, value: plan.destinationId };
  const fields = {
    format: 'json',
    target: target ?? {},
    description: `lockkeeper ${options.tenant} ${options.name}`.slice(0, 255),
    metadata: tagText(options.tenant, options.name),
  };
  const done =
    plan.destinationId === null
      ? await api.eventDestinations.create(fields)
      : await api.eventDestinations.update(plan.destinationId, fields);
  return done.ok ? { ok: true, value: done.value.id } : done;
};

/** Looks, plans and, unless it is a dry run, does it. Run again it changes nothing. */
export const setUpEvents = async (api: EventsApi, options: EventsOptions): Promise<ApiResult<EventsPlan>> => {
  const [destinations, subscriptions] = await Promise.all([
    api.eventDestinations.list(),
    api.eventSubscriptions.list(),
  ]);
  if (!destinations.ok) return destinations;
  if (!subscriptions.ok) return subscriptions;
  const ours = isOurs(options.tenant, options.name);
  const plan = planEvents(options, destinations.value.find(ours), subscriptions.value.find(ours));
  if (options.isDryRun) return { ok: true, value: plan };
  const destination = await ensureDestination(api, options, plan);
  if (!destination.ok) return destination;
  if (plan.subscription === 'keep') return { ok: true, value: { ...plan, destinationId: destination.value } };
  const fields = {
    description: `lockkeeper ${options.tenant} ${options.name}`.slice(0, 255),
    metadata: tagText(options.tenant, options.name),
    sources: options.sources.map((type) => ({ type })),
    destination_ids: [destination.value],
  };
  const subscription =
    plan.subscriptionId === null
      ? await api.eventSubscriptions.create(fields)
      : await api.eventSubscriptions.update(plan.subscriptionId, fields);
  if (!subscription.ok) return subscription;
  return {
    ok: true,
    value: { ...plan, destinationId: destination.value, subscriptionId: subscription.value.id },
  };
};
