/** The cloud's side of one device for tests: publishes what a test asks for, remembers all that the device says. */
import { connectAsync } from 'mqtt';
import { systemClock } from '../../src/core/clock.ts';
import type { DevicePublicKey } from '../../src/protocol/device-key.ts';
import { newCommandId } from '../../src/protocol/ids.ts';
import { sealToken } from '../../src/protocol/seal.ts';
import { waitFor } from './wait-for.ts';

type Json = Readonly<Record<string, unknown>>;

/** One result message of a command. */
export interface ResultSeen {
  readonly id: string;
  readonly op: string;
  readonly status: string;
  readonly n: number;
  readonly code?: string;
  readonly msg?: string;
  readonly retry_s?: number;
  readonly dup?: boolean;
  readonly out?: Json;
}

export interface EventSeen {
  readonly type: string;
  readonly ep?: string;
  readonly code?: string;
  readonly cause?: string;
  readonly data?: Json;
}

/** What a command may carry besides its operation. */
export interface CommandMore {
  readonly args?: Json;
  readonly id?: string;
  /** Seconds from now; the defaults are 0 and 60. */
  readonly iat?: number;
  readonly exp?: number;
  readonly retain?: boolean;
  readonly to?: string;
  /** The nonce of the device's boot, as presence has it. */
  readonly boot?: string;
}

export interface ReportedSeen {
  readonly rev: number;
  readonly applied?: number;
  readonly bad?: { readonly code: string; readonly rev?: number };
  readonly cred: {
    readonly gen: number;
    readonly fp?: string;
    readonly state?: string;
    readonly want?: number;
  };
  readonly session: { readonly state: string; readonly since?: number; readonly err?: string };
  readonly endpoints: readonly {
    readonly name: string;
    readonly state: string;
    readonly url?: string;
    readonly code?: string;
    readonly by?: string;
    readonly lease_end?: number;
  }[];
  readonly locked?: boolean;
  readonly conditions?: readonly { readonly code: string; readonly ep?: string }[];
  readonly last?: readonly (readonly string[])[];
}

export interface Cloud {
  /** Publishes a command and resolves with its terminal result. */
  command(op: string, more?: CommandMore): Promise<ResultSeen>;
  /** Publishes a command without waiting; resolves with its id once the broker has it. */
  send(op: string, more?: CommandMore): Promise<string>;
  /** The terminal result of a command, seen already or yet to come. */
  result(id: string, deadlineMs?: number): Promise<ResultSeen>;
  /** Every result seen for an id, in order. */
  results(id: string): readonly ResultSeen[];
  /** Seals a token to the device's key and sends `rekey`. */
  rekey(token: string, gen: number, more?: Json): Promise<ResultSeen>;
  /** The same without waiting; resolves with the command's id once the broker has it. */
  sendRekey(token: string, gen: number, more?: Json): Promise<string>;
  seal(token: string, gen: number): Promise<string>;
  /** Publishes a desired document, retained; endpoints by their own fields. */
  desired(rev: number, endpoints: readonly Json[], more?: Json): Promise<void>;
  publish(topic: string, payload: string | Buffer, retain?: boolean): Promise<void>;
  /** Topic of the device with this end. */
  topic(leaf: string): string;
  /** Last message on one of the device's topics, as it stood when it came; undefined before the first. */
  reported(): ReportedSeen | undefined;
  presence():
    | { readonly online: boolean; readonly boot: string; readonly n: number; readonly why?: string }
    | undefined;
  hello(): Json | undefined;
  health(): Json | undefined;
  events(): readonly EventSeen[];
  /** Everything received, by topic and text. */
  messages(): readonly { readonly topic: string; readonly text: string; readonly retain: boolean }[];
  end(): Promise<void>;
}

export interface CloudOptions {
  readonly url: string;
  readonly tenant: string;
  readonly device: string;
}

const RUNNING = new Set(['accepted', 'executing']);

/** Connects to the broker and subscribes to all of the device; comes back by itself after the broker was away. */
export const connectCloud = async ({ url, tenant, device }: CloudOptions): Promise<Cloud> => {
  const base = `lk1/${tenant}/d/${device}`;
  const client = await connectAsync(url, {
    protocolVersion: 4,
    reconnectPeriod: 100,
    clientId: `cloud-${device}`,
  });
  const messages: { topic: string; text: string; retain: boolean }[] = [];
  const results = new Map<string, ResultSeen[]>();
  const events: EventSeen[] = [];
  const last = new Map<string, Json>();
  client.on('error', () => undefined);
  client.on('message', (topic, payload, packet) => {
    const text = payload.toString('utf8');
    messages.push({ topic, text, retain: packet.retain });
    const leaf = topic.slice(base.length + 1);
    if (leaf.startsWith('cmd/') || leaf === 'desired' || text === '') return;
    const body = JSON.parse(text) as Json;
    last.set(leaf, body);
    if (leaf.startsWith('event/')) events.push(body as unknown as EventSeen);
    if (leaf.startsWith('res/')) {
      const seen = body as unknown as ResultSeen;
      results.set(seen.id, [...(results.get(seen.id) ?? []), seen]);
    }
  });
  await client.subscribeAsync(`${base}/#`, { qos: 1 });

  let seq = Date.now();
  const publish: Cloud['publish'] = async (topic, payload, retain = false) => {
    await client.publishAsync(topic, payload, { qos: 1, retain });
  };
  const send: Cloud['send'] = async (op, more = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const id = more.id ?? newCommandId(systemClock);
    seq += 1;
    const body = {
      v: 1,
      id,
      to: more.to ?? `d:${device}`,
      op,
      iat: now + (more.iat ?? 0),
      exp: now + (more.exp ?? 60),
      seq,
      ...(more.boot === undefined ? {} : { boot: more.boot }),
      ...(more.args === undefined ? {} : { args: more.args }),
    };
    await publish(`${base}/cmd/${op}`, JSON.stringify(body), more.retain ?? false);
    return id;
  };
  const result: Cloud['result'] = (id, deadlineMs = 45_000) =>
    waitFor(() => results.get(id)?.find((seen) => !RUNNING.has(seen.status)), {
      what: `the end of ${id}; seen: ${JSON.stringify(results.get(id) ?? [])}`,
      deadlineMs,
    });
  const hello = (): Json | undefined => last.get('hello');
  const seal = async (token: string, gen: number): Promise<string> => {
    const key = await waitFor(() => hello()?.['enc'] as DevicePublicKey | undefined, { what: 'hello' });
    return sealToken({ tok: token, cid: '', dev: device, gen }, key);
  };
  const sendRekey: Cloud['sendRekey'] = async (token, gen, more = {}) =>
    send('rekey', { args: { gen, sealed: await seal(token, gen), ...more } });
  const command: Cloud['command'] = async (op, more) => result(await send(op, more));

  return {
    command,
    send,
    result,
    results: (id) => results.get(id) ?? [],
    seal,
    sendRekey,
    rekey: async (token, gen, more) => result(await sendRekey(token, gen, more)),
    desired: (rev, endpoints, more = {}) =>
      publish(
        `${base}/desired`,
        JSON.stringify({ v: 1, dev: device, rev, iat: Math.floor(Date.now() / 1000), endpoints, ...more }),
        true,
      ),
    publish,
    topic: (leaf) => `${base}/${leaf}`,
    reported: () => last.get('reported') as unknown as ReportedSeen | undefined,
    presence: () => last.get('presence') as unknown as ReturnType<Cloud['presence']>,
    hello,
    health: () => last.get('health'),
    events: () => events,
    messages: () => messages,
    end: async () => {
      await client.endAsync(true);
    },
  };
};
