/** The effects of a rotation: what each step does at ngrok, at the broker and in the audit log. */
import type { Clock } from '../../core/clock.ts';
import type { Signer } from '../../protocol/signing-key.ts';
import type { NgrokApi } from '../api/index.ts';
import type { AuditLog } from '../audit-log.ts';
import type { HeldCredential } from '../credential-tag.ts';
import { deliverToken, pinFor } from '../deliver-token.ts';
import type { DeviceBook } from '../device-book.ts';
import type { DeviceView } from '../device-view.ts';
import { createSessionCensus, endSessions } from '../end-sessions.ts';
import type { FleetLink } from '../fleet-link.ts';
import { deleteCredential, mintCredential } from '../mint.ts';
import type { DeviceFacts } from './next-step.ts';
import type { RotationPorts } from './rotate-device.ts';
import { type Scope, scopeText } from './scope.ts';

export interface RotateFleetPorts {
  readonly api: NgrokApi;
  readonly link: FleetLink;
  readonly signer: Signer | null;
  readonly book: DeviceBook;
  readonly audit: AuditLog;
  readonly clock: Clock;
}

export interface RotationSettings {
  readonly scope: Scope;
  /** How long one device may take to answer. */
  readonly deviceTimeoutS: number;
  /** Sessions of a deleted credential get this long to be gone. */
  readonly sessionsMs: number;
  readonly mode?: 'overlap' | 'break-first';
}

/** The report comes at most once a second, and may pass the result on its way. */
const REPORT_WAIT_MS = 10_000;
/** After no answer in good time there is little to hope for. */
const LAST_LOOK_MS = 2000;
/** A rotation leaves sessions this long to drain before it stops them. */
const SESSION_GRACE_MS = 10_000;

/** What a device's messages say for a decision. */
export const factsFrom = (view: DeviceView, device: string): Pick<DeviceFacts, 'reported' | 'isOnline'> => {
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

/** Puts API, broker and audit log behind the steps of a rotation; `rotation` is null when only leftovers are cleaned up. */
export const rotationPorts = (
  ports: RotateFleetPorts,
  options: RotationSettings,
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
