/** A fleet for tests and benches of the operator's side: sandbox, swarm, an API client, an operator's desk. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { createNgrokApi, type NgrokApi } from '../../src/fleet/api/index.ts';
import { descriptionOf, formatTag, heldBy } from '../../src/fleet/credential-tag.ts';
import { newCommandId } from '../../src/protocol/ids.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';
import { type Swarm, type SwarmDevice, startSwarm } from './device-swarm.ts';

export const TENANT = 'acme';

export interface FleetWorldOptions {
  readonly sandbox?: SandboxOptions;
  readonly keysFile?: string;
  readonly swapMs?: () => number;
  /** The broker, when it is not the sandbox's own. */
  readonly brokerUrl?: string;
}

export interface FleetWorld {
  readonly sandbox: Sandbox;
  readonly swarm: Swarm;
  readonly api: NgrokApi;
  /** Enrolls so many devices `NAME-0001`…, each with a credential at generation 1. */
  enroll(
    count: number,
    more?: { readonly site?: string; readonly name?: string },
  ): Promise<readonly SwarmDevice[]>;
  /** What is wrong with a device that should have exactly one credential, and run on it; null when all is well. */
  flaw(device: SwarmDevice): Promise<string | null>;
  /** The same for all, with one list. */
  flaws(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Without the limit of requests, unless told otherwise: the limiter has tests of its own. */
const UNLIMITED = { limit: 1_000_000, windowMs: 60_000 };

export const startFleetWorld = async (options: FleetWorldOptions = {}): Promise<FleetWorld> => {
  const sandbox = await startSandbox({ rate: UNLIMITED, ...options.sandbox });
  const made = createNgrokApi({ url: sandbox.api.url, key: sandbox.api.key, rate: null });
  if (!made.ok) throw new Error(made.fault.message);
  const api = made.value;
  const isGood = (token: string): boolean => 'id' in sandbox.accounts.authenticate(token);
  const swarm = await startSwarm({
    url: options.brokerUrl ?? sandbox.line.broker.url,
    tenant: TENANT,
    isGood,
    ...(options.keysFile === undefined ? {} : { keysFile: options.keysFile }),
    ...(options.swapMs === undefined ? {} : { swapMs: options.swapMs }),
  });

  const enrollOne = async (device: string, site: string | undefined): Promise<SwarmDevice> => {
    const tag = {
      tenant: TENANT,
      device,
      ...(site === undefined ? {} : { site }),
      gen: 1,
      mint: newCommandId(systemClock),
    };
    const created = await api.credentials.create({
      description: descriptionOf(TENANT, device),
      metadata: formatTag(tag),
      acl: [`bind:${device}.edge.test`],
    });
    if (!created.ok) throw new Error(created.fault.message);
    const { id, token } = created.value;
    const added = await swarm.add(device, { id, token: token ?? '', gen: 1 });
    const { kid, x } = added.key;
    const pinned = await api.credentials.update(id, { metadata: formatTag({ ...tag, pin: { kid, x } }) });
    if (!pinned.ok) throw new Error(pinned.fault.message);
    return added;
  };

  const flawsOf = async (devices: readonly SwarmDevice[]): Promise<readonly string[]> => {
    const listed = await api.credentials.list();
    if (!listed.ok) throw new Error(listed.fault.message);
    const held = heldBy(TENANT, listed.value);
    return devices.flatMap((device) => {
      const own = held.filter(({ tag }) => tag.device === device.id);
      const [only] = own;
      if (own.length !== 1 || only === undefined)
        return [`${device.id} has ${own.length} credentials: ${own.map(({ id }) => id).join(' ')}`];
      if (only.id !== device.credentialId)
        return [`${device.id} runs on ${device.credentialId}, not on ${only.id}`];
      if (device.token === null || !isGood(device.token))
        return [`${device.id} runs on a token that is refused`];
      if (only.tag.gen !== device.gen)
        return [`${device.id} reports ${device.gen}, its credential says ${only.tag.gen}`];
      return [];
    });
  };

  return {
    sandbox,
    swarm,
    api,
    async enroll(count, { site, name = 'dev' } = {}) {
      const names = Array.from({ length: count }, (_, i) => `${name}-${String(i + 1).padStart(4, '0')}`);
      const devices: SwarmDevice[] = [];
      for (const one of names) devices.push(await enrollOne(one, site));
      return devices;
    },
    flaw: async (device) => (await flawsOf([device]))[0] ?? null,
    flaws: () => flawsOf([...swarm.devices.values()]),
    async close() {
      await swarm.close();
      await sandbox.close();
      if (sandbox.bugs.length > 0) throw new AggregateError(sandbox.bugs, 'the sandbox met a bug');
    },
  };
};

/** What `enroll` and `rotate` wrote into the audit log of an operator. */
export const auditOf = async (dir: string): Promise<readonly Record<string, unknown>[]> =>
  (await readFile(join(dir, 'audit.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
