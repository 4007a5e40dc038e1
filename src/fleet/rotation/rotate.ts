/** `rotate` as a library: gathers the facts, runs the waves, proves the end against ngrok's own list. */
import type { Clock } from '../../core/clock.ts';
import { type Fault, failed, fault, LockkeeperError, ok, type Result } from '../../core/errors.ts';
import { newCommandId } from '../../protocol/ids.ts';
import { isDeviceId } from '../../protocol/names.ts';
import type { Signer } from '../../protocol/signing-key.ts';
import { equals, type NgrokApi } from '../api/index.ts';
import type { AuditLog } from '../audit-log.ts';
import { descriptionOf, type HeldCredential, heldBy } from '../credential-tag.ts';
import { deliverToken, pinFor } from '../deliver-token.ts';
import type { DeviceBook } from '../device-book.ts';
import { type DeviceView, openDeviceView } from '../device-view.ts';
import { createSessionCensus, endSessions } from '../end-sessions.ts';
import type { FleetLink } from '../fleet-link.ts';
import { deleteCredential, mintCredential } from '../mint.ts';
import { type DeviceFacts, newestRotation } from './next-step.ts';
import type { DeviceOutcome, RotationPorts } from './rotate-device.ts';
import { type RotationProgress, type RotationResult, runRotation } from './run-rotation.ts';
import type { Amount } from './waves.ts';

/** Which devices. */
export type Scope =
  | { readonly kind: 'device'; readonly device: string }
  | { readonly kind: 'site'; readonly site: string }
  | { readonly kind: 'fleet' };

export interface RotateFleetPorts {
  readonly api: NgrokApi;
  readonly link: FleetLink;
  readonly signer: Signer | null;
  readonly book: DeviceBook;
  readonly audit: AuditLog;
  readonly clock: Clock;
}

export interface RotateFleetOptions {
  readonly scope: Scope;
  /** Go on with the newest rotation over this scope; without one, only finish what is half done. */
  readonly isResumed: boolean;
  readonly waves: readonly Amount[];
  readonly maxFailures: Amount;
  readonly concurrency: number;
  readonly soakMs: number;
  /** How long one device may take to answer. */
  readonly deviceTimeoutS: number;
  /** Sessions of a deleted credential get this long to be gone. */
  readonly sessionsMs: number;
  readonly mode?: 'overlap' | 'break-first';
  readonly mayBeUnrestricted: boolean;
  /** No device begins after it aborts. */
  readonly stop?: AbortSignal;
  /** Told once, before the first device. `rotation` is null when nothing but leftovers is cleaned up. */
  readonly onPlan?: (plan: { readonly rotation: string | null; readonly devices: number }) => void;
  readonly onDevice?: (outcome: DeviceOutcome, progress: RotationProgress) => void;
  readonly onWave?: (wave: number, waves: number, devices: number) => void;
}

export interface RotationReport extends RotationResult {
  readonly rotation: string | null;
  readonly total: number;
  /** True when ngrok's list was read again at the end, and every device that counts as done has exactly one credential. */
  readonly isProved: boolean;
}

/** What a word on the command line names: `fleet`, `site:NAME`, `device:ID`, else a device, else a site. */
export const resolveScope = async (api: NgrokApi, tenant: string, word: string): Promise<Result<Scope>> => {
  if (word === 'fleet') return ok({ kind: 'fleet' });
  const [kind, name] = word.includes(':') ? word.split(':', 2) : ['', word];
  if (name === undefined || name === '' || !['', 'device', 'site'].includes(kind ?? ''))
    return failed(
      fault('BAD_ARGS', 'It is a device, a site or fleet; device:ID and site:NAME say which.', false),
    );
  const device: Scope = { kind: 'device', device: name };
  if (kind === 'site') return ok({ kind: 'site', site: name });
  if (kind === 'device') return ok(device);
  const held = isDeviceId(name) ? await listHeld(api, tenant, device) : ok([]);
  if (!held.ok) return held;
  return ok(held.value.length > 0 ? device : { kind: 'site', site: name });
};

const scopeText = (scope: Scope): string =>
  scope.kind === 'site' ? `site:${scope.site}` : scope.kind === 'fleet' ? 'fleet' : 'device';

/** The report comes at most once a second, and may pass the result on its way. */
const REPORT_WAIT_MS = 10_000;
/** After no answer in good time there is little to hope for. */
const LAST_LOOK_MS = 2000;
/** A rotation leaves sessions this long to drain before it stops them. */
const SESSION_GRACE_MS = 10_000;

const listHeld = async (
  api: NgrokApi,
  tenant: string,
  scope: Scope,
): Promise<Result<readonly HeldCredential[]>> => {
  const listed = await api.credentials.list(
    scope.kind === 'device' ? { filter: equals('description', descriptionOf(tenant, scope.device)) } : {},
  );
  if (!listed.ok) return listed;
  const held = heldBy(tenant, listed.value);
  return ok(
    held.filter(({ tag }) =>
      scope.kind === 'device'
        ? tag.device === scope.device
        : scope.kind === 'fleet' || tag.site === scope.site,
    ),
  );
};

const byDevice = (held: readonly HeldCredential[]): Map<string, HeldCredential[]> => {
  const devices = new Map<string, HeldCredential[]>();
  for (const one of held) {
    const of = devices.get(one.tag.device);
    if (of === undefined) devices.set(one.tag.device, [one]);
    else of.push(one);
  }
  return devices;
};

const factsFrom = (view: DeviceView, device: string): Pick<DeviceFacts, 'reported' | 'isOnline'> => {
  const { reported, presence } = view.get(device);
  return {
    isOnline: presence?.online === true,
    reported:
      reported === undefined
        ? null
        : {
            gen: reported.cred.gen,
            fp: reported.cred.fp ?? '',
            isGood: reported.cred.state === undefined || reported.cred.state === 'ok',
            isLocked: reported.locked === true,
          },
  };
};

/** Devices that answer come first: a canary that is off line proves nothing. */
const ordered = (
  devices: Map<string, HeldCredential[]>,
  view: DeviceView,
): ReadonlyMap<string, readonly HeldCredential[]> => {
  const rank = (device: string): number => (view.get(device).presence?.online === true ? 0 : 1);
  return new Map([...devices].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)));
};

const portsOf = (
  ports: RotateFleetPorts,
  options: RotateFleetOptions,
  view: DeviceView,
  rotation: string | null,
): RotationPorts => {
  const { api, link, book, audit, clock } = ports;
  // What only cleans up leftovers is no rotation that could be resumed.
  const mark = rotation === null ? {} : { rotation };
  const census = createSessionCensus(api);
  const pin = async (device: string, model: HeldCredential) => {
    const record = await book.read(device);
    return record.ok
      ? pinFor(record.value.pin, model.tag.pin, view.get(device).hello ?? null, device)
      : record;
  };
  const isProof = (device: string, gen: number) => (): boolean => {
    const { reported } = factsFrom(view, device);
    return reported?.gen === gen && reported.isGood;
  };
  return {
    facts: (device) => factsFrom(view, device),
    async sealable(device, model) {
      const key = await pin(device, model);
      return key.ok ? null : key.fault;
    },
    async mint(device, gen, model) {
      const key = await pin(device, model);
      const { site } = model.tag;
      return mintCredential(
        { api, audit, clock },
        {
          tag: {
            tenant: link.tenant,
            device,
            ...(site === undefined ? {} : { site }),
            gen,
            ...(rotation === null ? {} : { rotation, scope: scopeText(options.scope) }),
            ...(key.ok ? { pin: key.value } : {}),
          },
          acl: model.acl,
          ownerId: model.ownerId,
        },
      );
    },
    async deliver(device, minted, model) {
      const { gen } = minted.tag;
      const key = await pin(device, model);
      if (!key.ok) return { kind: 'refused', fault: key.fault, command: null };
      const delivery = await deliverToken(ports, {
        device,
        gen,
        token: minted.token,
        credentialId: minted.id,
        key: key.value,
        timeoutS: options.deviceTimeoutS,
        ...(options.mode === undefined ? {} : { mode: options.mode }),
      });
      const about = {
        device,
        id: minted.id,
        gen,
        ...mark,
        ...(delivery.command === null ? {} : { command: delivery.command }),
      };
      if (delivery.kind === 'taken') await audit.write({ what: 'deliver', ...about });
      else await audit.write({ what: 'deliver.failed', ...about, code: delivery.fault.code });
      return delivery;
    },
    async proved(device, gen, isAnswered) {
      const waitMs = isAnswered ? REPORT_WAIT_MS : LAST_LOOK_MS;
      const isProved = await view.until(device, isProof(device, gen), waitMs);
      if (!isProved) return false;
      await audit.write({ what: 'proof', device, gen, ...mark });
      // Only a convenience for this machine: the device's own report decides.
      await book.update(device, (record) => ({ ...record, gen: Math.max(record.gen, gen) }));
      return true;
    },
    remove: ({ id, tag }) =>
      deleteCredential({ api, audit, clock }, id, { device: tag.device, gen: tag.gen, ...mark }),
    endSessions: (device, credentialIds) =>
      endSessions({
        census,
        api,
        audit,
        clock,
        device,
        credentialIds,
        graceMs: Math.min(SESSION_GRACE_MS, options.sessionsMs / 2),
        deadlineMs: options.sessionsMs,
      }),
  };
};

const unproved = (outcome: DeviceOutcome, ids: readonly string[]): DeviceOutcome => ({
  ...outcome,
  state: 'unfinished',
  credentials: ids,
  fault: fault('NOT_FINISHED', `ngrok lists ${ids.length} credentials of it.`, true),
});

/** Reads ngrok's list once more: what counts as done must have exactly the one credential that the device runs on. */
const prove = async (
  ports: RotateFleetPorts,
  scope: Scope,
  result: RotationResult,
): Promise<{
  readonly outcomes: readonly DeviceOutcome[];
  readonly isProved: boolean;
  readonly fault: Fault | null;
}> => {
  const listed = await listHeld(ports.api, ports.link.tenant, scope);
  if (!listed.ok) return { outcomes: result.outcomes, isProved: false, fault: listed.fault };
  const devices = byDevice(listed.value);
  const outcomes = result.outcomes.map((outcome) => {
    if (outcome.state !== 'done') return outcome;
    const ids = (devices.get(outcome.device) ?? []).map(({ id }) => id);
    return ids.length === 1 && ids[0] === outcome.credentials[0] ? outcome : unproved(outcome, ids);
  });
  return { outcomes, isProved: true, fault: null };
};

/** Whether this rotation has anything to do for a scope; a fault when not. */
const nothing = (scope: Scope): Fault =>
  fault(
    'BAD_ARGS',
    scope.kind === 'device'
      ? `${scope.device} has no credential of ours: enroll it first.`
      : scope.kind === 'site'
        ? `No device of a site ${scope.site} has a credential of ours.`
        : 'No device has a credential of ours.',
    false,
  );

/**
 * Rotates the credentials of a scope. A fault means that nothing was begun; everything after that is in the report.
 */
export const rotateFleet = async (
  ports: RotateFleetPorts,
  options: RotateFleetOptions,
): Promise<Result<RotationReport>> => {
  const { api, link, clock } = ports;
  const { scope } = options;
  const listed = await listHeld(api, link.tenant, scope);
  if (!listed.ok) return listed;
  const devices = byDevice(listed.value);
  if (devices.size === 0) return failed(nothing(scope));
  const goal = {
    rotation: options.isResumed ? newestRotation(listed.value, scopeText(scope)) : newCommandId(clock),
  };
  let view: DeviceView;
  try {
    view = await openDeviceView(link, [...devices.keys()], clock);
  } catch (error) {
    if (error instanceof LockkeeperError) return failed(error.fault);
    throw error;
  }
  try {
    options.onPlan?.({ rotation: goal.rotation, devices: devices.size });
    const result = await runRotation(portsOf(ports, options, view, goal.rotation), {
      devices: ordered(devices, view),
      goal,
      waves: options.waves,
      maxFailures: options.maxFailures,
      concurrency: options.concurrency,
      soakMs: options.soakMs,
      recheck: (names) =>
        names.filter((device) => {
          const { isOnline, reported } = factsFrom(view, device);
          return !isOnline || reported?.isGood !== true;
        }),
      mayBeUnrestricted: options.mayBeUnrestricted,
      clock,
      ...(options.stop === undefined ? {} : { stop: options.stop }),
      ...(options.onDevice === undefined ? {} : { onDevice: options.onDevice }),
      ...(options.onWave === undefined ? {} : { onWave: options.onWave }),
    });
    const end = await prove(ports, scope, result);
    return ok({
      ...result,
      outcomes: end.outcomes,
      fault: result.fault ?? end.fault,
      rotation: goal.rotation,
      total: devices.size,
      isProved: end.isProved,
    });
  } finally {
    view.close();
  }
};
