/** A device that believes signatures only, and the operator whose keys it trusts. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import type { Op } from '../../src/protocol/command-schema.ts';
import { type EnvelopeType, signText } from '../../src/protocol/envelope.ts';
import { newCommandId } from '../../src/protocol/ids.ts';
import { importSigner, type Signer, type SigningKeyFile } from '../../src/protocol/signing-key.ts';
import { type Device, type DeviceOptions, startDevice } from './device.ts';
import { makeOperator, type Operator } from './operator.ts';
import { runNode } from './spawn-node.ts';

export const DEVICE_ID = 'device-1';
const TENANT = 'sandbox';

export interface SignedWorld {
  readonly device: Device;
  readonly operator: Operator;
  /** The operator's command key. */
  readonly signer: Signer;
}

/** `lockkeeperd --init`, `lockkeeper device pin`, then the daemon; nothing is shared but files and the broker. */
export const startSignedDevice = async (options: DeviceOptions = {}): Promise<SignedWorld> => {
  const device = await startDevice({ ...options, start: false });
  const operator = await makeOperator(device.sandbox.line.broker.url);
  const profile = JSON.parse(await readFile(operator.profile, 'utf8')) as object;
  await writeFile(operator.profile, JSON.stringify({ ...profile, tenant: TENANT }), { mode: 0o600 });
  await device.writeConfig({
    trust: { mode: 'signed', keysFile: operator.keysFile },
    ...options.config,
  });
  const made = await runNode('src/lockkeeperd.ts', ['--init', '--config', device.configFile]);
  if (made.code !== 0) throw new Error(made.stderr);
  const keyFile = join(device.dir, 'device-key-public.json');
  await writeFile(keyFile, made.stdout);
  const pinned = await operator.run(['device', 'pin', DEVICE_ID, '--device-key', keyFile]);
  if (pinned.code !== 0) throw new Error(pinned.stderr);
  const opsFile = JSON.parse(await readFile(join(operator.dir, 'ops-1.json'), 'utf8')) as SigningKeyFile;
  if (options.start !== false) await device.start();
  return { device, operator, signer: await importSigner(opsFile) };
};

let lastSeq = 0;

/** A command body that is good in every way, with `more` over it. */
export const bodyOf = (op: Op, more: Readonly<Record<string, unknown>> = {}) => {
  const iat = Math.floor(Date.now() / 1000);
  lastSeq = Math.max(lastSeq + 1, Date.now());
  const id = newCommandId(systemClock);
  return { v: 1, id, to: `d:${DEVICE_ID}`, op, iat, exp: iat + 60, seq: lastSeq, ...more };
};

/** Signs anything, also what no sender of ours would. */
export const sign = (body: object | string, signer: Signer, typ: EnvelopeType = 'lk1-cmd'): Promise<string> =>
  signText(typ, typeof body === 'string' ? body : JSON.stringify(body), signer);
