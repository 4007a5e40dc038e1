/** The same questions to every broker: what the device's link makes of it, with the real rights and limits. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { daemonOn } from './broker-daemon.ts';
import { type BrokerRig, DEVICES, OPERATOR, PASSWORD, startRig } from './broker-rig.ts';
import type { BrokerTraits } from './broker-table.ts';
import { fastClock, type LinkWorld, startLink } from './link-world.ts';
import { mqttPeer } from './mqtt-peer.ts';
import { openPath } from './path-fault.ts';
import { tempDir } from './temp-dir.ts';
import { createTestCa, place } from './test-ca.ts';
import { waitFor } from './wait-for.ts';

type LinkOver = Parameters<typeof startLink>[0];
type OptionsOver = NonNullable<Parameters<typeof startLink>[1]>;

/** Longer than every limit of a message, and far longer. */
const TOO_BIG = [65_537, 10 * 1024 * 1024];

/** Declares the tests. */
export const brokerSuite = (traits: BrokerTraits): void => {
  let running: BrokerRig | undefined;
  const rig = (): BrokerRig => {
    if (running === undefined) throw new Error('the broker is not started');
    return running;
  };
  /** For the last test. Stored well before it: RabbitMQ writes its store only when that had a moment's rest. */
  const survivor = DEVICES.at(-1) ?? '';
  beforeAll(async () => {
    running = await startRig(traits.make);
    const cloud = await connectAsync(running.operatorUrl, { protocolVersion: 4 });
    await cloud.publishAsync(`lk1/acme/d/${survivor}/desired`, 'document', { qos: 1, retain: true });
    await cloud.endAsync();
  }, 90_000);
  afterAll(() => running?.end());

  // Each test has a device of its own, so that none finds what another stored. The first is the whole daemon's.
  let used = 0;
  const nextId = (): string => {
    used += 1;
    const id = DEVICES[used];
    if (id === undefined) throw new Error('too few devices');
    return id;
  };
  const base = (id: string): string => `lk1/acme/d/${id}`;
  const passwordFile = async (password = PASSWORD): Promise<string> =>
    place(await tempDir(), 'password', `${password}\n`);
  const device = async (
    id: string,
    over: Partial<LinkOver> = {},
    options: OptionsOver = {},
  ): Promise<LinkWorld> =>
    startLink(
      {
        url: rig().url,
        username: id,
        passwordFile: over.passwordFile ?? (await passwordFile()),
        protocol: traits.mqtt5.is === 'spoken' ? '5' : '4',
        ...over,
      },
      { clientId: id, clock: fastClock(20), ...options },
    );
  const operator = (subscribe?: string | readonly string[]) =>
    mqttPeer(rig().operatorUrl, subscribe === undefined ? {} : { subscribe });
  const isUp = (world: LinkWorld, times = 1) =>
    waitFor(() => world.ups.length >= times && world.link.status().state === 'connected', {
      what: `connect ${times}: ${JSON.stringify(world.link.status())}`,
      deadlineMs: 30_000,
    });
  const told = (row: { readonly because: string }): string => `${traits.name}: ${row.because}`;

  describe(traits.name, () => {
    test(`finds its version of MQTT (5 is ${traits.mqtt5.is}: ${traits.mqtt5.because})`, async () => {
      const world = await device(nextId(), { protocol: 'auto' });
      await isUp(world);
      const version = traits.mqtt5.is === 'spoken' ? 5 : 4;
      expect(world.link.status()).toMatchObject({ protocol: version, refusedFilters: [], problems: [] });
      expect(world.memory.get(rig().url)).toMatchObject({ version });
      const failures = world.changes.filter(({ state }) => state === 'offline');
      expect(failures).toHaveLength({ spoken: 0, refused: 1, closed: 2 }[traits.mqtt5.is]);
    });

    test('names a refused login, keeps to the version, and connects once the password is right', async () => {
      const id = nextId();
      const file = await passwordFile('the wrong one');
      const world = await device(id, { protocol: 'auto', passwordFile: file });
      const isRefused = () => world.link.status().problems.some((p) => p.code === 'BROKER_AUTH_REFUSED');
      await waitFor(isRefused);
      expect(world.link.status().lastError?.message).toContain(traits.refusedLogin.is);
      const before = world.changes.length;
      await waitFor(() => world.changes.slice(before).filter((s) => s.state === 'offline').length >= 3);
      const later = world.changes.slice(before).filter((s) => s.state === 'offline');
      expect(new Set(later.map((s) => s.lastError?.code))).toEqual(new Set(['BROKER_AUTH_REFUSED']));
      expect(JSON.stringify(world.changes)).not.toContain('the wrong one');
      await place(join(file, '..'), 'password', `${PASSWORD}\r\n`);
      await isUp(world);
      expect(world.link.status().problems).toEqual([]);
    });

    test.runIf(traits.tls.is)(
      'over TLS: names a foreign authority, and connects once the right one is in place',
      async () => {
        const { tls } = rig();
        if (tls === null) throw new Error('the broker has no listener with TLS');
        const id = nextId();
        const url = `mqtts://127.0.0.1:${tls.port}`;
        const dir = await tempDir();
        const caFile = await place(dir, 'ca.pem', (await createTestCa()).cert);
        const world = await device(id, { url, caFile });
        await waitFor(() => world.link.status().problems.some((p) => p.code === 'BROKER_TLS'));
        expect(world.link.status()).toMatchObject({ lastError: { code: 'BROKER_TLS', retryable: true } });
        expect(world.link.status().lastError?.message).toMatch(/authority/);
        expect(world.ups).toEqual([]);
        const ca = await readFile(tls.caFile, 'utf8');
        await place(dir, 'ca.pem', ca);
        await isUp(world);
        expect(world.link.status()).toMatchObject({ broker: url, problems: [] });
        const cloud = await mqttPeer(url, { username: OPERATOR, password: PASSWORD, ca });
        await cloud.publish(`${base(id)}/cmd/ping`, 'fresh');
        await waitFor(() => world.texts(`${base(id)}/cmd/ping`).includes('fresh'));
      },
    );

    test(`gives what is stored at each connect; a stored command is ${traits.storedCommand.is}`, async () => {
      const id = nextId();
      const cloud = await operator();
      await cloud.publish(`${base(id)}/desired`, 'document', { retain: true });
      await cloud.publish(`${base(id)}/cmd/stop`, 'stored', { retain: true });
      const filters = ['desired', 'presence', 'cmd/+'].map((leaf) => `${base(id)}/${leaf}`);
      const first = await device(id, {}, { filters });
      const isRead = (world: LinkWorld, leaf: string) =>
        world.messages.some((m) => m.topic === `${base(id)}/${leaf}` && m.retain);
      await waitFor(() => isRead(first, 'desired'));
      await isUp(first);
      await first.link.publish({ topic: `${base(id)}/presence`, payload: 'birth', qos: 1, retain: true });
      await first.link.refresh(`${base(id)}/desired`);
      await waitFor(() => first.texts(`${base(id)}/desired`).length >= 2);
      await first.link.stop();
      const second = await device(id, {}, { filters });
      await waitFor(() => isRead(second, 'desired') && isRead(second, 'presence'));
      await cloud.publish(`${base(id)}/cmd/stop`, 'fresh');
      await waitFor(() => second.texts(`${base(id)}/cmd/stop`).includes('fresh'));
      const stored = [first, second]
        .flatMap((world) => world.messages)
        .filter(({ payload }) => Buffer.from(payload).toString() === 'stored');
      expect(stored.length > 0, told(traits.storedCommand)).toBe(traits.storedCommand.is === 'marked');
      expect(stored.every(({ retain }) => retain)).toBe(true);
    });

    test('delivers a command once and takes its answer', async () => {
      const id = nextId();
      const cloud = await operator(`${base(id)}/res/+`);
      const world: LinkWorld = await device(
        id,
        {},
        {
          handlers: {
            message: async ({ topic, payload }) => {
              const text = Buffer.from(payload).toString();
              if (!topic.includes('/cmd/')) return;
              // The last of them may still wait for its PUBACK when the test is over.
              await world.link
                .publish({ topic: `${base(id)}/res/${text}`, payload: '{}', qos: 1 })
                .catch(() => undefined);
            },
          },
        },
      );
      await isUp(world);
      for (const command of ['1', '2', '3']) await cloud.publish(`${base(id)}/cmd/ping`, command);
      await waitFor(() => cloud.messages.length >= 3);
      await cloud.publish(`${base(id)}/cmd/ping`, 'last');
      await waitFor(() => cloud.messages.some(({ topic }) => topic.endsWith('/last')));
      expect(cloud.messages.map(({ topic }) => topic.split('/').at(-1))).toEqual(['1', '2', '3', 'last']);
    });

    test('keeps commands for a device that is away, and none for an operator', async () => {
      const id = nextId();
      const cloud = await operator();
      const first = await device(id);
      await isUp(first);
      expect(first.ups[0]?.sessionPresent).toBe(false);
      await first.link.stop();
      await cloud.publish(`${base(id)}/cmd/ping`, 'while away');
      const second = await device(id);
      await isUp(second);
      await waitFor(() => second.texts(`${base(id)}/cmd/ping`).includes('while away'));
      expect(second.ups[0]?.sessionPresent).toBe(true);

      const filters = [`${base(id)}/cmd/+`];
      const before = await device(id, {}, { role: 'client', clientId: `${id}-doctor-1`, filters });
      await isUp(before);
      await before.link.stop();
      await cloud.publish(`${base(id)}/cmd/ping`, 'for the device');
      await waitFor(() => second.texts(`${base(id)}/cmd/ping`).includes('for the device'));
      const after = await device(id, {}, { role: 'client', clientId: `${id}-doctor-1`, filters });
      await isUp(after);
      await cloud.publish(`${base(id)}/cmd/ping`, 'for both');
      await waitFor(() => after.messages.length > 0);
      expect(after.texts(`${base(id)}/cmd/ping`)).toEqual(['for both']);
      expect(after.ups[0]?.sessionPresent).toBe(false);
    });

    test(`a filter that is denied: ${traits.deniedFilter.is}, ${traits.deniedFilter.because}`, async () => {
      const id = nextId();
      const foreign = 'lk1/acme/d/press-99/desired';
      const world = await device(
        id,
        {},
        { filters: [`${base(id)}/desired`, foreign, `${base(id)}/cmd/+`, 'lk1/acme/g/lab/cmd/+'] },
      );
      await isUp(world);
      const { refusedFilters, problems } = world.link.status();
      if (traits.deniedFilter.is === 'nothing') expect(problems).toEqual([]);
      else {
        expect(refusedFilters).toEqual([foreign]);
        expect(problems).toMatchObject([{ code: 'BROKER_FILTER_REFUSED' }]);
        expect(problems[0]?.message).toContain(foreign);
        const words = { answer: 'refuses the subscription', close: 'ends the connection' };
        expect(problems[0]?.message).toContain(words[traits.deniedFilter.is]);
      }
      const cloud = await operator();
      await cloud.publish(foreign, 'not for this device');
      await cloud.publish(`${base(id)}/cmd/ping`, 'own');
      await cloud.publish('lk1/acme/g/lab/cmd/ping', 'group');
      await waitFor(() => world.messages.length >= 2);
      expect(new Set(world.messages.map(({ payload }) => Buffer.from(payload).toString()))).toEqual(
        new Set(['group', 'own']),
      );
    });

    test(`a publish that is denied: ${traits.deniedPublish.is}, ${traits.deniedPublish.because}`, async () => {
      const id = nextId();
      const foreign = 'lk1/acme/d/press-99/reported';
      const cloud = await operator([foreign, `${base(id)}/reported`]);
      const world = await device(id);
      await isUp(world);
      const denied = () => world.link.publish({ topic: foreign, payload: '{}', qos: 1 });
      if (traits.deniedPublish.is === 'nothing') await denied();
      else {
        await waitFor(async () => {
          await isUp(world);
          const code = await denied().then(
            () => '',
            (error: { fault?: { code: string } }) => error.fault?.code,
          );
          return code === 'BROKER_PUBLISH_DENIED';
        });
        expect(world.link.status().problems).toMatchObject([{ code: 'BROKER_PUBLISH_DENIED' }]);
        expect(world.link.status().problems[0]?.message).toContain(foreign);
        expect(world.ups.length).toBeLessThanOrEqual(traits.deniedPublish.is === 'close' ? 3 : 1);
      }
      await isUp(world);
      await world.link.publish({ topic: `${base(id)}/reported`, payload: '{"own":1}', qos: 1 });
      await waitFor(() => cloud.messages.some(({ text }) => text === '{"own":1}'));
      expect(cloud.messages.filter(({ topic }) => topic === foreign)).toEqual([]);
    });

    test(`messages beyond 64 KiB do no harm (${traits.oversize.is}: ${traits.oversize.because})`, async () => {
      const id = nextId();
      const world = await device(id);
      await isUp(world);
      for (const bytes of TOO_BIG) {
        const sender = await operator();
        const payload = Buffer.alloc(bytes, 0x61);
        const done = sender.publish(`${base(id)}/cmd/ping`, payload).catch(() => undefined);
        if (traits.oversize.is === 'swallowed')
          await waitFor(() => rig().log().includes(`message size ${bytes} is larger`));
        else await Promise.race([done, sender.closed]);
      }
      const cloud = await operator();
      await cloud.publish(`${base(id)}/cmd/ping`, 'after');
      await waitFor(() => world.texts(`${base(id)}/cmd/ping`).includes('after'));
      const others = world.messages.filter((m) => Buffer.from(m.payload).toString() !== 'after');
      expect(others.length, told(traits.oversize)).toBe(
        traits.oversize.is === 'delivered' ? TOO_BIG.length : 0,
      );
      expect(others.every(({ payload }) => payload.length > 65_536 && payload.length < 140_000)).toBe(true);
      expect(world.link.status()).toMatchObject({ state: 'connected', connects: 1 });
    });

    test('a second client with the same id is named, and backed off from', async () => {
      const id = nextId();
      // Jitter would only make it longer.
      const world = await device(id, {}, { clock: { ...fastClock(20), random: () => 0 } });
      const isNamed = () => world.link.status().problems.some((p) => p.code === 'DUPLICATE_CLIENT');
      const login = { clientId: id, username: id, password: PASSWORD };
      await waitFor(
        async () => {
          // A broker may close on one that comes too soon after another.
          if (world.link.status().state === 'connected')
            await mqttPeer(rig().url, login).catch(() => undefined);
          return isNamed();
        },
        { what: 'the second client is named', deadlineMs: 45_000 },
      );
    });

    test('a path that goes silent: the broker sends the will, the link notices and comes back', async () => {
      const [goneId, id] = [nextId(), nextId()];
      const cloud = await operator([`${base(goneId)}/presence`, `${base(id)}/presence`]);
      const path = await openPath(rig().port);
      // MQTT 5 would hold the will back for half a minute.
      const over = { url: `mqtt://127.0.0.1:${path.port}`, keepAliveS: 2, protocol: '4' } as const;
      const orderly = await device(id, over);
      await isUp(orderly);
      await orderly.link.stop();
      const [gone, world] = [await device(goneId, over), await device(id, over)];
      await isUp(gone);
      await isUp(world);
      path.freeze();
      // Its goodbye goes into the dead path, and it never comes back.
      void gone.link.stop();
      await waitFor(() => cloud.messages.some(({ topic }) => topic.includes(goneId)), { what: 'the will' });
      await isUp(world, 2);
      const [first] = world.changes.filter(({ state }) => state === 'offline');
      expect(first?.lastError).toMatchObject({ code: 'BROKER_NET', retryable: true });
      expect(new Set(cloud.messages.map(({ text }) => text))).toEqual(new Set(['lost 1']));
      const late = await operator(`${base(goneId)}/presence`);
      await waitFor(() => late.messages.some(({ text, retain }) => text === 'lost 1' && retain));
    });

    test(`an operator's wildcard gets what is stored: ${traits.storedByWildcard.is}, ${traits.storedByWildcard.because}`, async () => {
      const id = nextId();
      const world = await device(id);
      await isUp(world);
      const topic = `${base(id)}/reported`;
      await world.link.publish({ topic, payload: '{"n":1}', qos: 1, retain: true });
      const cloud = await operator('lk1/acme/d/+/reported');
      await world.link.publish({ topic, payload: '{"n":2}', qos: 1, retain: true });
      await waitFor(() => cloud.messages.some(({ text }) => text === '{"n":2}'));
      expect(cloud.messages.some(({ text }) => text === '{"n":1}')).toBe(traits.storedByWildcard.is);
      const exact = await operator(topic);
      await waitFor(() => exact.messages.some(({ text, retain }) => text === '{"n":2}' && retain));
    });

    test(`comes back after the broker was killed (stored things survive: ${traits.survivesCrash.is}, ${traits.survivesCrash.because}; with the whole daemon: ${traits.daemon.is}, ${traits.daemon.because})`, async () => {
      const daemon = traits.daemon.is ? await daemonOn(rig()) : undefined;
      await daemon?.serve();
      const id = survivor;
      const cloud = await operator();
      const world = await device(id);
      await isUp(world);
      await cloud.publish(`${base(id)}/cmd/ping`, 'before');
      await waitFor(() => world.messages.length >= 2, { what: 'the document and a command' });
      const before = world.messages.length;
      await rig().crash();
      await waitFor(() => world.link.status().state !== 'connected');
      await expect(
        world.link.publish({ topic: `${base(id)}/reported`, payload: '{}', qos: 1 }),
      ).rejects.toMatchObject({ fault: { code: 'BROKER_NET', retryable: true } });
      await rig().start();
      await isUp(world, 2);
      expect(world.ups[1], told(traits.survivesCrash)).toMatchObject({
        connect: world.link.status().connects,
        sessionPresent: traits.survivesCrash.is,
      });
      const again = await operator();
      await again.publish(`${base(id)}/cmd/ping`, 'after');
      await waitFor(() => world.texts(`${base(id)}/cmd/ping`).includes('after'));
      const isStored = world.messages.slice(before).some(({ topic }) => topic === `${base(id)}/desired`);
      expect(isStored, told(traits.survivesCrash)).toBe(traits.survivesCrash.is);
      expect(world.link.status().problems).toEqual([]);
      await daemon?.comeBack();
      await daemon?.die();
    }, 150_000);
  });
};
