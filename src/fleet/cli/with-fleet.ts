/** What a command that works on the fleet starts from: profile, API, audit log, and the broker where it is needed. */

import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { newCommandId } from '../../protocol/ids.ts';
import type { Signer } from '../../protocol/signing-key.ts';
import { isTopicSegment } from '../../protocol/topics.ts';
import type { NgrokApi } from '../api/index.ts';
import { type AuditLog, openAuditLog } from '../audit-log.ts';
import { type DeviceBook, openDeviceBook } from '../device-book.ts';
import type { Profile } from '../profile.ts';
import { type ApiOptions, apiOf } from './api-options.ts';
import type { Cli } from './cli.ts';
import { type FleetOptions, profileOf, signerOf } from './fleet-options.ts';
import type { Output } from './output.ts';

export interface Desk {
  readonly profile: Profile;
  readonly tenant: string;
  readonly api: NgrokApi;
  readonly audit: AuditLog;
  readonly book: DeviceBook;
}

/** Profile, API and audit log; `BAD_ARGS` and `CONFIG_INVALID` say what is missing. */
export const deskOf = async (
  cli: Cli,
  out: Output,
  options: FleetOptions & ApiOptions,
): Promise<Result<Desk>> => {
  const profile = await profileOf(cli, options);
  if (!profile.ok) return profile;
  const { tenant, devicesDir, auditFile } = profile.value;
  if (!isTopicSegment(tenant))
    return failed(fault('BAD_ARGS', 'There is no tenant: tenant in the profile, or --tenant.', false));
  const audit = await openAuditLog(auditFile, cli.clock, newCommandId(cli.clock));
  if (!audit.ok) return audit;
  const api = await apiOf(cli, out, profile.value, options);
  if (!api.ok) return api;
  return ok({
    profile: profile.value,
    tenant,
    api: api.value,
    audit: audit.value,
    book: openDeviceBook(devicesDir),
  });
};

/** The desk of a command that also sends commands. */
export const signingDeskOf = async (
  cli: Cli,
  out: Output,
  options: FleetOptions & ApiOptions,
): Promise<Result<Desk & { readonly signer: Signer | null }>> => {
  const desk = await deskOf(cli, out, options);
  if (!desk.ok) return desk;
  const signer = await signerOf(desk.value.profile);
  return signer.ok ? ok({ ...desk.value, signer: signer.value }) : signer;
};
