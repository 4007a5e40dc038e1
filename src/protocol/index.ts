/** The package's public face of the protocol, for fleet software: messages, signing, sealing, checking. */
export { type Command, maxLifeS, OPS, type Op } from './command-schema.ts';
export type { DesiredDocument, DesiredEndpoint } from './desired-schema.ts';
export {
  type DeviceKey,
  type DevicePublicKey,
  deviceFingerprint,
  makeDeviceKey,
  publicDeviceKey,
} from './device-key.ts';
export { type EnvelopeType, readEnvelope, signEnvelope, verifyEnvelope } from './envelope.ts';
export type { EventMessage } from './event-schema.ts';
export type { HealthMessage } from './health-schema.ts';
export { newCommandId } from './ids.ts';
export {
  type CommandKey,
  type KeySet,
  type KeysFile,
  openKeySet,
  parseKeysFile,
  signKeySet,
} from './keyset.ts';
export type { HelloMessage, PresenceMessage } from './presence-schema.ts';
export type { ReportedMessage } from './reported-schema.ts';
export type { ResultMessage } from './result-schema.ts';
export { type SealedToken, sealToken } from './seal.ts';
export {
  importSigner,
  importVerifier,
  makeSigningKey,
  type Signer,
  type SigningKeyFile,
} from './signing-key.ts';
export { parseStrictJson, readStrictJson } from './strict-json.ts';
export { tokenFingerprint } from './token-fingerprint.ts';
export { deviceFilters, formatTopic, parseTopic, type Topic } from './topics.ts';
export {
  checkCommand,
  checkDesired,
  checkEvent,
  checkHealth,
  checkHello,
  checkPresence,
  checkReported,
  checkResult,
} from './validate.ts';
