import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createNgrokApi, type NgrokApi } from '../../src/fleet/api/index.ts';
import { descriptionOf, formatTag } from '../../src/fleet/credential-tag.ts';
import { newCommandId } from '../../src/protocol/ids.ts';
import type { When } from '../../src/sandbox/api/switches.ts';
import { auditOf, TENANT } from '../support/fleet-world.ts';
import { makeOperator } from '../support/operator.ts';
import { type SandboxWorld, startSandboxWorld, visit } from '../support/sandbox-world.ts';
import { pathUpstream } from '../support/upstreams.ts';

interface RevokedJson {
  readonly done: boolean;
  readonly deleted: readonly string[];
  readonly kept: readonly { readonly id: string }[];
  readonly sessions: {
    readonly seen: number;
    readonly remaining: readonly { readonly id: string; readonly stop: string }[];
  };
  readonly otherSessions: readonly { readonly id: string }[];
  readonly user: string;
}

const world = async (revoke: When) => {
  const sandboxWorld = await startSandboxWorld({
    rate: { limit: 1_000_000, windowMs: 60_000 },
    switches: { revoke },
  });
  const { line } = sandboxWorld.sandbox;
  const made = createNgrokApi({ url: line.api.url, key: line.api.key, rate: null });
  if (!made.ok) throw new Error(made.fault.message);
  const operator = await makeOperator(line.broker.url, 'broker', line.api);
  return {
    ...sandboxWorld,
    api: made.value,
    operator,
    async revoke(...args: string[]): Promise<[number | null, RevokedJson]> {
      const { code, body } = await operator.json(['revoke', ...args]);
      return [code, body as unknown as RevokedJson];
    },
  };
};

const credentialFor = async (api: NgrokApi, device: string, gen = 1, ownerId?: string) => {
  const made = await api.credentials.create({
    description: descriptionOf(TENANT, device),
    metadata: formatTag({ tenant: TENANT, device, gen, mint: newCommandId(systemClock) }),
    acl: [`bind:${device}.edge.test`],
    ...(ownerId === undefined ? {} : { owner_id: ownerId }),
  });
  if (!made.ok) throw new Error(made.fault.message);
  return { id: made.value.id, token: made.value.token ?? '' };
};

const serve = async (
  { agent }: Pick<SandboxWorld, 'agent'>,
  device: string,
  token: string,
  to: string,
  handlers: boolean,
) => {
  const running = await agent({ authtoken: token, metadata: device, handlers });
  await running.bind({ name: 'web', proto: 'http', to, calls: [['domain', `${device}.edge.test`]] });
  return running;
};

test.each<When>(['at-once', 'next-bind', 'next-connect'])(
  'deletes, ends sessions and sees them gone, when deletion is felt %s; other devices go on',
  async (when) => {
    const w = await world(when);
    const upstream = await pathUpstream();
    const one = await credentialFor(w.api, 'press-7');
    const spare = await credentialFor(w.api, 'press-7', 2);
    const two = await credentialFor(w.api, 'press-8');
    const victim = await serve(w, 'press-7', one.token, `http://127.0.0.1:${upstream.port}`, true);
    const bystander = await serve(w, 'press-8', two.token, `http://127.0.0.1:${upstream.port}`, true);
    // The agent ends when it is told to stop. Where deletion cuts it at once, it is never told.
    const ending = when === 'at-once' ? null : victim.event('stop').then(() => victim.kill());
    const [code, revoked] = await w.revoke('press-7');
    expect(revoked).toMatchObject({ done: true, kept: [], otherSessions: [], user: 'kept' });
    expect(new Set(revoked.deleted)).toEqual(new Set([one.id, spare.id]));
    expect(revoked.sessions.remaining).toEqual([]);
    expect(code).toBe(0);
    if (ending !== null) {
      await ending;
      expect(revoked.sessions.seen).toBe(1);
    }
    const { sessions } = w.sandbox.state();
    expect(sessions.map(({ metadata }) => metadata)).toEqual(['press-8']);
    expect(await visit(w.sandbox.line.edge.http, 'press-8.edge.test')).toBe('path /');
    expect(bystander.events.filter(({ event }) => event === 'stop' || event === 'disconnect')).toEqual([]);
    const audit = (await auditOf(w.operator.dir)).map(({ what }) => what);
    expect(audit.filter((what) => what === 'delete')).toHaveLength(2);
    // Once more there is nothing to do, and it says so.
    const [again] = await w.revoke('press-7');
    expect(again).toBe(1);
  },
);

test('a session that its agent does not end is reported, and looked for again the next time', async () => {
  const w = await world('next-bind');
  const upstream = await pathUpstream();
  const one = await credentialFor(w.api, 'press-7');
  const deaf = await serve(w, 'press-7', one.token, `http://127.0.0.1:${upstream.port}`, false);
  const [code, revoked] = await w.revoke('press-7', '--timeout', '1s');
  expect(code).toBe(1);
  expect(revoked).toMatchObject({ done: false, deleted: [one.id], sessions: { seen: 1 } });
  expect(revoked.sessions.remaining).toHaveLength(1);
  expect(revoked.sessions.remaining[0]?.stop).toContain('ERR_NGROK_805');
  await deaf.kill();
  const [again, second] = await w.revoke('press-7');
  expect(second).toMatchObject({ done: true, deleted: [] });
  expect(again).toBe(0);
});

test('what cannot be deleted is still valid, and said so', async () => {
  const w = await world('at-once');
  const one = await credentialFor(w.api, 'press-7');
  w.sandbox.api.faults.failing = 0;
  const failing = setInterval(() => {
    if (w.sandbox.api.answered >= from + 1 && w.sandbox.api.faults.failing === 0 && !isSet) {
      isSet = true;
      w.sandbox.api.faults.failing = 4;
    }
  }, 1);
  let isSet = false;
  const from = w.sandbox.api.answered;
  const [code, revoked] = await w.revoke('press-7');
  clearInterval(failing);
  expect(isSet).toBe(true);
  expect([code, revoked.done, revoked.kept.map(({ id }) => id)]).toEqual([1, false, [one.id]]);
  const [again, second] = await w.revoke('press-7');
  expect([again, second.deleted]).toEqual([0, [one.id]]);
});

test("the device's own service user can go with it; a session on a foreign credential is named", async () => {
  const w = await world('at-once');
  const upstream = await pathUpstream();
  const user = await w.api.serviceUsers.create({ name: 'press-7' });
  if (!user.ok) throw new Error(user.fault.message);
  await credentialFor(w.api, 'press-7', 1, user.value.id);
  // Somebody started the box with another token.
  await serve(w, 'press-7', w.sandbox.authtokens['default'] ?? '', `http://127.0.0.1:${upstream.port}`, true);
  const [code, revoked] = await w.revoke('press-7', '--user', 'delete');
  expect(revoked).toMatchObject({ done: true, user: 'deleted' });
  expect(revoked.otherSessions).toHaveLength(1);
  expect(code).toBe(0);
  expect(await w.api.serviceUsers.list()).toEqual({ ok: true, value: [] });
});
