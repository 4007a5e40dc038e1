import { CompactSign } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { signEnvelope, signText } from '../../../src/protocol/envelope.ts';
import {
  type CommandContext,
  type CommandVerdict,
  judgeCommand,
  type RecordedAnswer,
} from '../../../src/protocol/judge-command.ts';
import type { Signer } from '../../../src/protocol/signing-key.ts';
import {
  BOOT,
  commandBody,
  DEVICE,
  makeTrustFixture,
  NOW_S,
  nextId,
  signCommand,
  TENANT,
  type TrustFixture,
} from '../../support/trust-fixture.ts';
import { SEALED } from './samples.ts';

let fixture: TrustFixture;
beforeAll(async () => {
  fixture = await makeTrustFixture();
});

const context = (more: Partial<CommandContext> = {}): CommandContext => ({
  tenant: TENANT,
  device: DEVICE,
  policy: { mode: 'signed', trust: fixture.trust },
  time: { state: 'ntp', nowS: NOW_S },
  boot: BOOT,
  groups: ['lab'],
  windows: {},
  lookup: () => undefined,
  ...more,
});
const brokerMode = { policy: { mode: 'broker' } } as const;

const judge = (
  op: string,
  payload: string | Uint8Array,
  more: Partial<CommandContext> = {},
  { topic = `lk1/${TENANT}/d/${DEVICE}/cmd/${op}`, retain = false } = {},
): Promise<CommandVerdict> =>
  judgeCommand({ topic, payload: Buffer.from(payload as string), retain }, context(more));

const send = async (
  op: string,
  body: object,
  more: Partial<CommandContext> = {},
  signer: Signer = fixture.ops,
): Promise<CommandVerdict> => judge(op, await signCommand(body, signer), more);

/** The verdict in a word: `accepted`, `dropped bad_sig`, `rejected BAD_ARGS`. */
const word = (verdict: CommandVerdict): string => {
  switch (verdict.verdict) {
    case 'accepted':
      return 'accepted';
    case 'dropped':
      return `dropped ${verdict.counter}`;
    case 'refused':
      return `${verdict.status} ${verdict.code}`;
    case 'replay':
      return `replay ${verdict.answer.status}`;
  }
};

describe('a good command', () => {
  it('is accepted with its issuer, audience and the window after it', async () => {
    const body = commandBody('start', { args: { ep: 'web', lease_s: 900 }, seq: 7 });
    expect(await send('start', body)).toMatchObject({
      verdict: 'accepted',
      command: body,
      issuer: 'ops-1',
      audience: { kind: 'device', device: DEVICE },
      windowKey: `ops-1 d:${DEVICE}`,
      nextWindow: { top: 7, bits: '1' },
    });
  });

  it('is accepted under the algorithm name Ed25519 too', async () => {
    const text = await new CompactSign(Buffer.from(JSON.stringify(commandBody('ping'))))
      .setProtectedHeader({ alg: 'Ed25519', kid: 'ops-1', typ: 'lk1-cmd' })
      .sign(fixture.ops.key);
    expect(word(await judge('ping', text))).toBe('accepted');
  });

  it('is plain JSON in broker mode', async () => {
    const verdict = await judge('ping', JSON.stringify(commandBody('ping')), brokerMode);
    expect(verdict).toMatchObject({ verdict: 'accepted', issuer: 'broker', windowKey: `broker d:${DEVICE}` });
  });
});

describe('forged and borrowed commands', () => {
  const good = (): Promise<string> => signCommand(commandBody('ping'), fixture.ops);
  const b64 = (value: unknown): string =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const withHeader = async (header: unknown): Promise<string> => {
    const [, body, signature] = (await good()).split('.');
    return `${b64(header)}.${body ?? ''}.${signature ?? ''}`;
  };
  /** Signed properly, by the right key, with this header: only the closed set stands against it. */
  const signedHeader = async (header: Record<string, unknown>): Promise<string> => {
    const input = `${b64(header)}.${b64(commandBody('ping'))}`;
    const signature = await crypto.subtle.sign('Ed25519', fixture.ops.key, Buffer.from(input));
    return `${input}.${Buffer.from(signature).toString('base64url')}`;
  };
  const hs256 = async (): Promise<string> => {
    const input = `${b64({ alg: 'HS256', kid: 'ops-1', typ: 'lk1-cmd' })}.${b64(commandBody('ping'))}`;
    const secret = Buffer.from(fixture.opsFile.x, 'base64url');
    const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, [
      'sign',
    ]);
    const mac = await crypto.subtle.sign('HMAC', key, Buffer.from(input));
    return `${input}.${Buffer.from(mac).toString('base64url')}`;
  };
  const header = { alg: 'EdDSA', kid: 'ops-1', typ: 'lk1-cmd' };

  const forgeries: Readonly<Record<string, () => Promise<string | Uint8Array>>> = {
    'plain JSON': async () => JSON.stringify(commandBody('ping')),
    'an empty payload': async () => '',
    'bytes that are not UTF-8': async () => Buffer.from([0xff, 0xfe, 0x00]),
    'an unknown kid': async () => signCommand(commandBody('ping'), fixture.stranger),
    'a stranger under a known kid': async () =>
      signCommand(commandBody('ping'), { ...fixture.stranger, kid: 'ops-1' }),
    'alg none': async () => `${b64({ ...header, alg: 'none' })}.${b64(commandBody('ping'))}.`,
    'alg none with the old signature': () => withHeader({ ...header, alg: 'none' }),
    'HS256 with the public key': hs256,
    'a header of 50 kB': () => withHeader({ ...header, kid: 'x'.repeat(37_000) }),
    'a header that is no JSON': () => withHeader('{'),
    'a header that is an array': () => withHeader([header]),
    'a repeated header member': () =>
      withHeader('{"alg":"EdDSA","kid":"ops-1","kid":"ops-1","typ":"lk1-cmd"}'),
    'four parts': async () => `${await good()}.AAAA`,
    'a body swapped in': async () => {
      const [head, , signature] = (await good()).split('.');
      return `${head ?? ''}.${b64(commandBody('stop', { args: { ep: '*' } }))}.${signature ?? ''}`;
    },
    'the typ of a desired document': () => signEnvelope('lk1-desired', commandBody('ping'), fixture.ops),
    'the typ of a key set': () => signEnvelope('lk1-keys', commandBody('ping'), fixture.ops),
    'a jwk in the header': () =>
      signedHeader({ ...header, jwk: { kty: 'OKP', crv: 'Ed25519', x: fixture.opsFile.x } }),
    'a crit in the header': () => signedHeader({ ...header, crit: ['exp'], exp: 1 }),
    'a jku in the header': () => signedHeader({ ...header, jku: 'https://evil.example/keys' }),
    'b64 in the header': () => signedHeader({ ...header, b64: true }),
    'no typ in the header': () => signedHeader({ alg: 'EdDSA', kid: 'ops-1' }),
    'padding at the end': async () => `${await good()}==`,
    'a blank at the end': async () => `${await good()}\n`,
  };

  it.each(Object.entries(forgeries))(
    'drop %s without an answer and count a bad signature',
    async (_name, forge) => {
      expect(word(await judge('ping', await forge()))).toBe('dropped bad_sig');
    },
  );

  it('are told from the real thing by the helpers of this test', async () => {
    expect(word(await judge('ping', await signedHeader(header)))).toBe('accepted');
    expect(word(await judge('ping', await good()))).toBe('accepted');
  });

  it('drop a message for another device, another group or another operation', async () => {
    expect(word(await send('ping', commandBody('ping', { to: 'd:press-8' })))).toBe('dropped replay');
    expect(word(await send('ping', commandBody('ping', { to: 'g:lab' })))).toBe('dropped replay');
    expect(word(await send('ping', commandBody('resync')))).toBe('dropped replay');
    expect(word(await send('reboot', commandBody('reboot', { to: 'd:press-8' })))).toBe('dropped replay');
    expect(word(await send('start', commandBody('start', { to: 'd:press-8' })))).toBe('dropped replay');
  });

  it('drop a key before its time, after it, and when it left the set', async () => {
    for (const change of [{ nbf: NOW_S + 91 }, { exp: NOW_S - 91 }]) {
      const other = await makeTrustFixture((set) => ({
        ...set,
        keys: set.keys.map((key) => ({ ...key, ...change })),
      }));
      const policy = { mode: 'signed', trust: other.trust } as const;
      expect(word(await send('ping', commandBody('ping'), { policy }, other.ops))).toBe('dropped bad_sig');
    }
    const without = await makeTrustFixture((set) => ({ ...set, keys: set.keys.slice(1) }));
    const policy = { mode: 'signed', trust: without.trust } as const;
    expect(word(await send('ping', commandBody('ping'), { policy }, without.ops))).toBe('dropped bad_sig');
  });

  it.each([
    ['lk1/other/d/press-7/cmd/ping', 'dropped topic'],
    ['lk1/acme/d/press-8/cmd/ping', 'dropped topic'],
    ['lk1/acme/d/press-7/desired', 'dropped topic'],
    ['lk1/acme/g/hall/cmd/ping', 'dropped topic'],
    ['lk1/acme/d/press-7/cmd/ping/x', 'dropped topic'],
  ])('drop what comes on %s', async (topic, expected) => {
    expect(word(await judge('ping', await good(), {}, { topic }))).toBe(expected);
  });

  it('drop a retained command unread, and one that is too long', async () => {
    expect(word(await judge('ping', await good(), {}, { retain: true }))).toBe('dropped retained');
    expect(word(await judge('ping', Buffer.alloc(65_537, 0x20)))).toBe('dropped too_big');
    expect(word(await judge('ping', Buffer.alloc(65_536, 0x20)))).toBe('dropped bad_sig');
  });
});

describe('a body that is wrong', () => {
  it('is answered when its signature is good', async () => {
    expect(word(await send('reboot', commandBody('reboot')))).toBe('rejected UNKNOWN_OP');
    expect(word(await send('start', commandBody('start')))).toBe('rejected BAD_ARGS');
    expect(word(await send('ping', { ...commandBody('ping'), more: 1 }))).toBe('rejected BAD_ARGS');
    expect(await send('start', commandBody('start', { args: { ep: 'web', lease_s: 5 } }))).toMatchObject({
      op: 'start',
      msg: 'args.lease_s must be >= 60',
      expS: NOW_S + 300,
    });
  });

  it('is answered and counted when it is a signed body with repeated keys, depth, __proto__ or bad UTF-8', async () => {
    const json = JSON.stringify(commandBody('ping'));
    const bodies = [
      json.replace('{', '{"op":"stop",'),
      json.replace('{', '{"__proto__":{"a":1},'),
      json.replace('{', `{"args":${'['.repeat(20)}${']'.repeat(20)},`),
    ];
    for (const body of bodies) {
      const verdict = await judge('ping', await signText('lk1-cmd', body, fixture.ops));
      expect(word(verdict)).toBe('rejected BAD_ARGS');
      expect(verdict).toMatchObject({ counter: 'bad_json' });
    }
    const bytes = Buffer.concat([
      Buffer.from(json.replace('}', ',"args":{"a":"')),
      Buffer.from([0xff]),
      Buffer.from('"}}'),
    ]);
    const text = await new CompactSign(bytes)
      .setProtectedHeader({ alg: 'EdDSA', kid: 'ops-1', typ: 'lk1-cmd' })
      .sign(fixture.ops.key);
    expect(word(await judge('ping', text))).toBe('rejected BAD_ARGS');
  });

  it('is dropped when there is no id to answer to', async () => {
    expect(word(await judge('ping', await signText('lk1-cmd', '{"broken', fixture.ops)))).toBe(
      'dropped bad_json',
    );
    expect(word(await send('ping', { ...commandBody('ping'), id: 'short' }))).toBe('dropped bad_json');
    expect(word(await send('ping', [1]))).toBe('dropped bad_json');
  });

  it('is dropped in broker mode when it is not proper JSON, and answered when it is', async () => {
    const json = JSON.stringify(commandBody('ping'));
    expect(word(await judge('ping', json.replace('{', '{"op":"stop",'), brokerMode))).toBe(
      'dropped bad_json',
    );
    expect(word(await judge('ping', Buffer.from([0xff]), brokerMode))).toBe('dropped bad_json');
    expect(word(await judge('ping', await signCommand(commandBody('ping'), fixture.ops), brokerMode))).toBe(
      'dropped bad_json',
    );
    expect(word(await judge('start', JSON.stringify(commandBody('start')), brokerMode))).toBe(
      'rejected BAD_ARGS',
    );
  });

  it('must not live longer than an hour, a day for rekey', async () => {
    const live = (op: string, seconds: number, args?: object) =>
      send(op, commandBody(op, { exp: NOW_S + seconds, ...(args === undefined ? {} : { args }) }));
    expect(word(await live('ping', 3600))).toBe('accepted');
    expect(word(await live('ping', 3601))).toBe('rejected BAD_ARGS');
    expect(word(await live('rekey', 86_400, { gen: 2, sealed: SEALED }))).toBe('accepted');
    expect(word(await live('rekey', 86_401, { gen: 2, sealed: SEALED }))).toBe('rejected BAD_ARGS');
  });
});

describe('rights', () => {
  it('end at the operations of the key', async () => {
    const stop = commandBody('stop', { args: { ep: '*' } });
    const start = commandBody('start', { args: { ep: 'web' } });
    expect(word(await send('stop', stop, {}, fixture.noc))).toBe('accepted');
    expect(word(await send('start', start, {}, fixture.noc))).toBe('rejected NOT_ALLOWED');
  });

  it('of a group command end at membership, the safe operations and the groups of the key', async () => {
    const group = async (
      op: string,
      body: object,
      groups: readonly string[],
      signer = fixture.ops,
      name = 'lab',
    ) =>
      word(
        await judge(
          op,
          await signCommand(body, signer),
          { groups },
          { topic: `lk1/acme/g/${name}/cmd/${op}` },
        ),
      );
    const stop = () => commandBody('stop', { to: 'g:lab', args: { ep: '*' } });
    expect(await group('stop', stop(), ['lab'])).toBe('accepted');
    expect(await group('stop', stop(), [])).toBe('dropped topic');
    expect(await group('stop', stop(), ['lab'], fixture.noc)).toBe('accepted');
    const start = commandBody('start', { to: 'g:lab', args: { ep: 'web' } });
    expect(await group('start', start, ['lab'])).toBe('rejected NOT_ALLOWED');
    const hall = commandBody('stop', { to: 'g:hall', args: { ep: '*' } });
    expect(await group('stop', hall, ['hall'], fixture.noc, 'hall')).toBe('rejected NOT_ALLOWED');
  });

  it('shrink to a new key set once the set has expired, or by a root key', async () => {
    const over = await makeTrustFixture((set) => ({ ...set, expires: NOW_S - 91 }));
    const policy = { mode: 'signed', trust: over.trust } as const;
    const keys = () => commandBody('keys', { args: { set: over.file.set } });
    expect(word(await send('ping', commandBody('ping'), { policy }, over.ops))).toBe('rejected NOT_ALLOWED');
    expect(word(await send('keys', keys(), { policy }, over.ops))).toBe('accepted');
    expect(word(await send('keys', keys(), { policy }, over.root))).toBe('accepted');
    expect(word(await send('ping', commandBody('ping'), {}, fixture.root))).toBe('rejected NOT_ALLOWED');
  });
});

describe('time', () => {
  const at = (iat: number, exp: number, more: Partial<CommandContext> = {}, boot?: string) =>
    send('ping', commandBody('ping', { iat, exp, ...(boot === undefined ? {} : { boot }) }), more);

  it.each([
    [NOW_S - 390, NOW_S - 90, 'accepted'],
    [NOW_S - 391, NOW_S - 91, 'expired EXPIRED'],
    [NOW_S, NOW_S - 1, 'expired EXPIRED'],
    [NOW_S + 90, NOW_S + 300, 'accepted'],
    [NOW_S + 91, NOW_S + 300, 'rejected NOT_YET_VALID'],
    [0, 300, 'expired EXPIRED'],
    [4_102_444_000, 4_102_444_800, 'rejected NOT_YET_VALID'],
  ])('from %i to %i is %s', async (iat, exp, expected) => {
    expect(word(await at(iat, exp))).toBe(expected);
    expect(word(await at(iat, exp, { time: { state: 'rtc', nowS: NOW_S } }))).toBe(expected);
  });

  it('that a device does not know is replaced by the nonce of its start', async () => {
    for (const state of ['floor', 'none'] as const) {
      const time = { state, nowS: NOW_S };
      const unsure = await at(NOW_S, NOW_S + 300, { time });
      expect(word(unsure)).toBe('expired CLOCK_UNSURE');
      expect(unsure).toMatchObject({ retryS: 1, msg: expect.stringContaining(BOOT) as unknown });
      expect(word(await at(NOW_S, NOW_S + 300, { time }, 'ffffffffffffffff'))).toBe('expired CLOCK_UNSURE');
      expect(word(await at(NOW_S, NOW_S + 300, { time }, BOOT))).toBe('accepted');
      expect(word(await at(NOW_S + 9e6, NOW_S + 9e6 + 300, { time }, BOOT))).toBe('accepted');
    }
  });

  it('gives retry_s exactly where sending again helps', async () => {
    expect(await at(NOW_S + 100, NOW_S + 300)).toMatchObject({ retryS: 10 });
    expect(await at(0, 300)).not.toHaveProperty('retryS');
  });
});

describe('repetition', () => {
  const recorded = (id: string, status: RecordedAnswer['status'] = 'succeeded'): Partial<CommandContext> => ({
    lookup: (asked) => (asked === id ? { id, op: 'ping', status, n: 3 } : undefined),
  });

  it('of a known id gets the stored answer, past its end and whatever the rest of the body', async () => {
    const id = nextId();
    const bodies: readonly (readonly [string, object])[] = [
      ['ping', commandBody('ping', { id })],
      ['ping', commandBody('ping', { id, iat: 0, exp: 300 })],
      ['ping', { ...commandBody('ping', { id }), more: 1 }],
      ['reboot', commandBody('reboot', { id })],
      ['start', commandBody('start', { id })],
    ];
    for (const [op, body] of bodies)
      expect(word(await send(op, body, recorded(id)))).toBe('replay succeeded');
    expect(word(await send('ping', commandBody('ping', { id }), recorded(id, 'executing')))).toBe(
      'replay executing',
    );
  });

  it('of a known id is not answered without a good signature', async () => {
    const id = nextId();
    const body = commandBody('ping', { id });
    expect(word(await send('ping', body, recorded(id), fixture.stranger))).toBe('dropped bad_sig');
  });

  it('of a sequence number under another id is rejected and counted; late ones run once', async () => {
    const windows = { [`ops-1 d:${DEVICE}`]: { top: 100, bits: '1' } };
    const used = await send('ping', commandBody('ping', { seq: 100 }), { windows });
    expect(word(used)).toBe('rejected REPLAY');
    expect(used).toMatchObject({ counter: 'replay' });
    expect(word(await send('ping', commandBody('ping', { seq: 99 }), { windows }))).toBe('accepted');
    expect(word(await send('ping', commandBody('ping', { seq: 36 }), { windows }))).toBe('rejected REPLAY');
    expect(word(await send('ping', commandBody('ping', { seq: 37 }), { windows }))).toBe('accepted');
    const stop = commandBody('stop', { seq: 100, args: { ep: '*' } });
    expect(word(await send('stop', stop, { windows }, fixture.noc))).toBe('accepted');
  });
});
