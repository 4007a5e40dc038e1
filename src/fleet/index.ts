/**
 * The package's public face for fleet software: connect, send commands, write documents; provision, scope, rotate and
 * revoke tokens at ngrok. Expected failures are values (`Result`), effects are given as ports.
 */

export { checkAcl, isUnrestricted, mayBind, ruleFor } from './acl.ts';
export * from './api/index.ts';
export { type AuditEntry, type AuditLog, openAuditLog } from './audit-log.ts';
export {
  type CredentialTag,
  descriptionOf,
  formatTag,
  type HeldCredential,
  heldBy,
  parseTag,
} from './credential-tag.ts';
export {
  type DeviceBook,
  type DeviceRecord,
  openDeviceBook,
  type PinnedKey,
  seqSource,
  takeSeq,
} from './device-book.ts';
export { type DeviceView, openDeviceView } from './device-view.ts';
export {
  type BundleContent,
  type BundleSecrets,
  lockBundle,
  sealBundle,
  unlockBundle,
  unsealBundle,
} from './enroll/bundle.ts';
export { checkDeviceConfig, deviceConfig } from './enroll/device-config.ts';
export {
  type Enrolled,
  type EnrollOptions,
  type EnrollPorts,
  enrollDevice,
} from './enroll/enroll.ts';
export { openMintNote } from './enroll/mint-note.ts';
export { type EventsOptions, setUpEvents } from './events/setup.ts';
export { startExporter } from './exporter/exporter.ts';
export { createFleetMetrics, type FleetMetrics } from './exporter/metrics.ts';
export {
  createFleetLink,
  type FleetLink,
  type FleetLinkOptions,
  type MessageListener,
  matchesFilter,
} from './fleet-link.ts';
export { readKeyFile, readSigner, writeKeyFile } from './key-files.ts';
export { type OpenKeys, readKeys, withKey, withoutKey, writeKeys } from './key-set.ts';
export { keyFromHello, pinDevice, readDeviceKeyFile, sealingKey } from './pin-device.ts';
export { lintPolicy } from './policy/lint.ts';
export type { Finding } from './policy/lint-finding.ts';
export { type PolicyText, readPolicyText } from './policy/policy-text.ts';
export { presetRules, withForward } from './policy/preset.ts';
export { loadProfile, type Profile, type ProfileOverrides } from './profile.ts';
export { parseDesired, readDesired, readHello, readReported, type StoredDesired } from './read-device.ts';
export { prepareRekey, type RekeyArguments, type RekeyOptions } from './rekey.ts';
export { type RenewKeyOptions, renewDeviceKey } from './renew-key.ts';
export { type Revoked, type RevokeOptions, type RevokePorts, revokeDevice } from './revoke.ts';
export { openRevokeNote } from './revoke-note.ts';
export { type DeviceFacts, type Goal, nextStep, type Step } from './rotation/next-step.ts';
export { type RotateFleetOptions, type RotationReport, rotateFleet } from './rotation/rotate.ts';
export type { DeviceOutcome } from './rotation/rotate-device.ts';
export type { RotateFleetPorts } from './rotation/rotation-ports.ts';
export type { RotationProgress } from './rotation/run-rotation.ts';
export { resolveScope, type Scope } from './rotation/scope.ts';
export { type Amount, parseAmount, parseWaves } from './rotation/waves.ts';
export { type SendOptions, type SendOutcome, sendCommand } from './send-command.ts';
export { type SetDesiredOptions, type SetDesiredOutcome, setDesired } from './set-desired.ts';
export { applyChanges, readSiteState } from './site/site-apply.ts';
export { type Change, planDeletion, planSite, type SitePlan, type SiteState } from './site/site-plan.ts';
export { findSite, listSites, type SiteRecord, type SiteTag } from './site/site-record.ts';
export { type EndpointSpec, readSiteFile, type SiteSpec, siteSpec } from './site/site-spec.ts';
export { type Alert, dueAlerts } from './watch/alerts.ts';
export { type DeviceRow, type DeviceState, deviceRow, fleetRows } from './watch/device-row.ts';
export { type ApiLists, type FleetFacts, factsOf, readApiLists } from './watch/facts.ts';
export { type FleetView, type FleetViewOptions, openFleetView } from './watch/fleet-view.ts';
export { DEFAULT_WATCH, type FleetCondition, judgeDevice, type WatchSettings } from './watch/judge.ts';
export type { DeviceSeen } from './watch/seen.ts';
export { type FleetSummary, isAlarming, summarize } from './watch/summary.ts';
export { createTracker, type FleetTracker } from './watch/tracker.ts';
