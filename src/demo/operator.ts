/** The cloud side of the demo: keys, a profile that `lockkeeper` can use too, and signed commands over MQTT. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../core/clock.ts';
import { LockkeeperError, type Result } from '../core/errors.ts';
import { type DeviceBook, openDeviceBook, seqSource } from '../fleet/device-book.ts';
import { createFleetLink, type FleetLink } from '../fleet/fleet-link.ts';
import { writeKeyFile } from '../fleet/key-files.ts';
import { writeKeys } from '../fleet/key-set.ts';
import { pinDevice, readDeviceKeyFile } from '../fleet/pin-device.ts';
import { loadProfile, type Profile } from '../fleet/profile.ts';
import { readHello } from '../fleet/read-device.ts';
import { prepareRekey } from '../fleet/rekey.ts';
import { sendCommand } from '../fleet/send-command.ts';
import type { Op } from '../protocol/command-schema.ts';
import type { ResultMessage } from '../protocol/result-schema.ts';
import { importSigner, makeSigningKey, type Signer } from '../protocol/signing-key.ts';

const KEY_SET_LIFE_S = 86_400;
const COMMAND_S = 30;
const CONNECT_MS = 10_000;
const HELLO_MS = 10_000;

/** Gives the value, or throws the fault. */
export const unwrap = <T>(result: Result<T>): T => {
  if (!result.ok) throw new LockkeeperError(result.fault);
  return result.value;
};

/** What the operator made before the device was there. */
export interface OperatorFiles {
  readonly profileFile: string;
  /** The device's `trust.keysFile`. */
  readonly keysFile: string;
  readonly profile: Profile;
  readonly signer: Signer;
}

/** Makes a root key, a command key, the key set for devices and a profile, all in `dir`. */
export const writeOperatorFiles = async (
  dir: string,
  tenant: string,
  brokerUrl: string,
): Promise<OperatorFiles> => {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const [root, command] = await Promise.all([makeSigningKey('root-1'), makeSigningKey('ops-1')]);
  const rootKeyFile = join(dir, 'root.key.json');
  const keyFile = join(dir, 'ops-1.key.json');
  const keysFile = join(dir, 'keys.json');
  unwrap(await writeKeyFile(rootKeyFile, root));
  unwrap(await writeKeyFile(keyFile, command));
  const set = {
    v: 1 as const,
    version: 1,
    expires: Math.floor(systemClock.wall() / 1000) + KEY_SET_LIFE_S,
    keys: [{ kid: command.kid, x: command.x, ops: ['*'] }],
  };
  unwrap(await writeKeys(keysFile, [{ kid: root.kid, x: root.x }], set, root));
  const profileFile = join(dir, 'profile.json');
  const profile = {
    tenant,
    mqtt: { url: brokerUrl },
    trust: 'signed',
    sign: { kid: command.kid, keyFile },
    rootKeyFile,
    keysFile,
    devicesDir: join(dir, 'devices'),
  };
  await writeFile(profileFile, `${JSON.stringify(profile, null, 2)}\n`, { mode: 0o600 });
  return {
    profileFile,
    keysFile,
    profile: unwrap(await loadProfile(profileFile, process.env)),
    signer: await importSigner(command),
  };
};

export interface Operator {
  /** Pins the key that `lockkeeperd --init` printed into `file`. */
  pin(file: string): Promise<void>;
  /** Resolves when the device has said hello. */
  deviceOnline(): Promise<void>;
  /** Signs, sends and follows one command to its end. Rejects when there is none in time. */
  send(op: Op, args?: Readonly<Record<string, unknown>>): Promise<ResultMessage>;
  /** Seals the token to the pinned key and sends it as the next generation. */
  rekey(token: string): Promise<ResultMessage>;
  close(): Promise<void>;
}

const untilHello = async (link: FleetLink, device: string): Promise<void> => {
  const until = performance.now() + HELLO_MS;
  while ((await readHello(link, device)) === null)
    if (performance.now() > until) throw new Error('the device does not come on line');
};

/** Connects to the broker under an id of its own. */
export const connectOperator = async (files: OperatorFiles, device: string): Promise<Operator> => {
  const { profile, signer } = files;
  const link = createFleetLink({ tenant: profile.tenant, mqtt: profile.mqtt });
  try {
    await link.ready(CONNECT_MS);
  } catch (error) {
    await link.close();
    throw error;
  }
  const book: DeviceBook = openDeviceBook(profile.devicesDir);

  const send: Operator['send'] = async (op, args) => {
    const outcome = unwrap(
      await sendCommand(link, {
        device,
        op,
        ...(args === undefined ? {} : { args }),
        signer,
        nextSeq: seqSource(book, device, signer, systemClock),
        timeoutS: COMMAND_S,
      }),
    );
    if (outcome.kind === 'silent')
      throw new Error(`the device did not answer "${op}" (last: ${outcome.last?.status ?? 'nothing'})`);
    return outcome.result;
  };

  return {
    async pin(file) {
      unwrap(await pinDevice(book, device, unwrap(await readDeviceKeyFile(file, device)), false));
    },
    deviceOnline: () => untilHello(link, device),
    send,
    async rekey(token) {
      const record = unwrap(await book.read(device));
      const args = unwrap(
        await prepareRekey(link, {
          device,
          record,
          token,
          credentialId: '',
          generation: null,
          mode: null,
        }),
      );
      return send('rekey', { ...args });
    },
    close: () => link.close(),
  };
};
