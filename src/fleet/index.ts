/** The package's public face for fleet software: connect, send commands, write documents, rotate tokens. */

export * from './api/index.ts';
export {
  type DeviceBook,
  type DeviceRecord,
  openDeviceBook,
  type PinnedKey,
  takeSeq,
} from './device-book.ts';
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
export { loadProfile, type Profile, type ProfileOverrides } from './profile.ts';
export { parseDesired, readDesired, readHello, readReported, type StoredDesired } from './read-device.ts';
export { prepareRekey, type RekeyArguments, type RekeyOptions } from './rekey.ts';
export { type SendOptions, type SendOutcome, sendCommand } from './send-command.ts';
export { type SetDesiredOptions, type SetDesiredOutcome, setDesired } from './set-desired.ts';
