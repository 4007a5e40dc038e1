import { expect, test } from 'vitest';
import { randomAuthtoken } from '../../src/sandbox/api/tokens.ts';
import { type Device, startDevice, stateOf } from '../support/device.ts';
import { freePort } from '../support/free-port.ts';
import { answerToken } from '../support/swap-edge.ts';
import { waitFor } from '../support/wait-for.ts';

const NAME = 'device-1.edge.test';

/** A device whose names and address are its account's own, with visitors on one and a TCP port on the other. */
const ownedDevice = async () => {
  const port = await freePort();
  const device = await startDevice({
    config: {
      endpoints: [
        { name: 'web', proto: 'http', upstream: 'hmi', url: `https://${NAME}`, on: true },
        { name: 'raw', proto: 'tcp', upstream: 'hmi', url: `tcp://127.0.0.1:${port}`, on: true },
      ],
    },
  });
  await device.until((s) => stateOf(s, 'web') === 'up' && stateOf(s, 'raw') === 'up', 'both are up');
  return device;
};

const reserve = async ({ sandbox }: Device, domain: string): Promise<void> => {
  const { url, key } = sandbox.line.api;
  const answer = await fetch(`${url}/reserved_domains`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'ngrok-version': '2', 'content-type': 'application/json' },
    body: JSON.stringify({ domain }),
  });
  expect(answer.status).toBe(201);
};

const refuse =
  (at: 'auth' | 'bind', code: string) =>
  (device: Device, token: string): void =>
    answerToken(device.sandbox, token, at, () => ({ code, message: `Refused with ${code}.` }));

const register =
  (settings: object) =>
  (device: Device, token: string): Promise<void> =>
    device.fault({ op: 'token', authtoken: token, ...settings });

interface Case {
  readonly ngrokCode: string;
  readonly code: string;
  readonly token: string;
  readonly prepare?: (device: Device, token: string) => void | Promise<void>;
}

const CASES: readonly Case[] = [
  { ngrokCode: 'ERR_NGROK_105', code: 'NGROK_AUTH_REFUSED', token: 'not-of-the-form' },
  { ngrokCode: 'ERR_NGROK_107', code: 'NGROK_AUTH_REFUSED', token: randomAuthtoken() },
  {
    ngrokCode: 'ERR_NGROK_4018',
    code: 'NGROK_AUTH_REFUSED',
    token: 'unverified-account',
    prepare: refuse('auth', 'ERR_NGROK_4018'),
  },
  {
    ngrokCode: 'ERR_NGROK_300',
    code: 'NGROK_AUTH_REFUSED',
    token: 'revoked-after-auth',
    prepare: refuse('bind', 'ERR_NGROK_300'),
  },
  {
    ngrokCode: 'ERR_NGROK_316',
    code: 'NGROK_ACL_DENIED',
    token: 'acl-without-the-name',
    prepare: register({ acl: ['bind:other.edge.test'] }),
  },
  {
    ngrokCode: 'ERR_NGROK_308',
    code: 'NGROK_ACL_DENIED',
    token: 'acl-without-the-address',
    prepare: register({ acl: ['bind:*.edge.test'] }),
  },
  {
    ngrokCode: 'ERR_NGROK_320',
    code: 'NGROK_CONFIG',
    token: 'another-account',
    prepare: async (device, token) => {
      await reserve(device, NAME);
      await device.fault({ op: 'switch', reservations: true });
      await device.fault({ op: 'token', authtoken: token, account: 'B' });
      // The address is nobody's, so only the name is asked about.
    },
  },
  {
    ngrokCode: 'ERR_NGROK_307',
    code: 'NGROK_CONFIG',
    token: 'same-account',
    prepare: register({}),
  },
];

test('whatever the edge has against a new token, the box serves on with the old one and says what it was', async () => {
  const device = await ownedDevice();
  const { cloud, sandbox } = device;
  const [before] = sandbox.state().sessions;
  const visitors = device.load(4);
  let gen = 1;
  for (const { ngrokCode, code, token, prepare } of CASES) {
    await prepare?.(device, token);
    gen += 1;
    const served = visitors.good();
    const end = await cloud.rekey(token, gen);
    expect(end, ngrokCode).toMatchObject({
      status: 'failed',
      code,
      out: { gen: 1, ngrokCode, dropped: 0, cut: 0, gap_ms: 0 },
    });
    expect(end.msg, ngrokCode).toMatch(/^(ngrok|[A-Z]).*\.$/);
    expect(JSON.stringify(end)).not.toContain(token);
    await waitFor(() => visitors.good() > served);
    await waitFor(() => sandbox.state().sessions.length === 1);
    expect(sandbox.state().sessions[0]?.id, ngrokCode).toBe(before?.id);
  }
  expect((await visitors.stop()).bad).toEqual([]);
  const status = await device.status();
  expect(status.credential).toMatchObject({ generation: 1, state: 'ok' });
  expect(status.endpoints.map((e) => e.state)).toEqual(['up', 'up']);
  // A device with a good token asks for no other.
  expect(cloud.events().filter((e) => e.type === 'cred.request')).toEqual([]);
});
