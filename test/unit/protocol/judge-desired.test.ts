import { beforeAll, describe, expect, it } from 'vitest';
import { signEnvelope, signText } from '../../../src/protocol/envelope.ts';
import {
  type DesiredContext,
  type DesiredVerdict,
  judgeDesired,
} from '../../../src/protocol/judge-desired.ts';
import { DEVICE, makeTrustFixture, NOW_S, TENANT, type TrustFixture } from '../../support/trust-fixture.ts';

let fixture: TrustFixture;
beforeAll(async () => {
  fixture = await makeTrustFixture();
});

const endpoint = { name: 'web', on: true, proto: 'http', upstream: 'hmi' };
const document = (rev: number, more: object = {}) => ({
  v: 1,
  dev: DEVICE,
  rev,
  iat: NOW_S,
  endpoints: [endpoint],
  ...more,
});
const judge = (payload: string | Uint8Array, more: Partial<DesiredContext> = {}, topic = 'desired') =>
  judgeDesired(
    { topic: `lk1/${TENANT}/d/${DEVICE}/${topic}`, payload: Buffer.from(payload as string), retain: true },
    {
      tenant: TENANT,
      device: DEVICE,
      policy: { mode: 'signed', trust: fixture.trust },
      time: { state: 'ntp', nowS: NOW_S },
      current: undefined,
      ...more,
    },
  );
const send = async (
  doc: object,
  more: Partial<DesiredContext> = {},
  signer = fixture.ops,
): Promise<DesiredVerdict> => judge(await signEnvelope('lk1-desired', doc, signer), more);

const word = (verdict: DesiredVerdict): string => {
  switch (verdict.verdict) {
    case 'bad':
      return `bad ${verdict.code} ${verdict.counter ?? ''}`.trim();
    case 'dropped':
      return `dropped ${verdict.counter}`;
    case 'accepted':
    case 'known':
    case 'older':
    case 'cleared':
      return verdict.verdict;
  }
};

/** The state after a document was accepted. */
const inForce = async (rev: number): Promise<{ readonly rev: number; readonly digest: string }> => {
  const verdict = await send(document(rev));
  if (verdict.verdict !== 'accepted') throw new Error(word(verdict));
  return { rev, digest: verdict.digest };
};

describe('a desired document', () => {
  it('is accepted when signed, for this device, and new', async () => {
    expect(await send(document(4))).toMatchObject({
      verdict: 'accepted',
      document: document(4),
      issuer: 'ops-1',
    });
    expect(word(await send(document(5), { current: await inForce(4) }))).toBe('accepted');
    expect(word(await judge(JSON.stringify(document(4)), { policy: { mode: 'broker' } }))).toBe('accepted');
  });

  it('is known when read again, by whomever signed and whether or not that key still counts', async () => {
    const current = await inForce(4);
    expect(word(await send(document(4), { current }))).toBe('known');
    const later = { state: 'ntp', nowS: NOW_S + 10_000_000 } as const;
    expect(word(await send(document(4), { current, time: later }))).toBe('known');
    expect(word(await send(document(5), { current, time: later }))).toBe('bad NOT_ALLOWED bad_sig');
  });

  it('is ignored and counted when its revision is lower', async () => {
    expect(await send(document(3), { current: await inForce(4) })).toEqual({
      verdict: 'older',
      rev: 3,
      counter: 'replay',
    });
  });

  it('conflicts when its revision is taken by another content', async () => {
    const other = await send(document(4, { groups: ['lab'] }), { current: await inForce(4) });
    expect(word(other)).toBe('bad REV_CONFLICT');
    expect(other).toMatchObject({ rev: 4 });
  });

  it('is taken at the floor when the document itself was lost', async () => {
    const current = { rev: 4, digest: '' };
    expect(word(await send(document(4), { current }))).toBe('accepted');
    expect(word(await send(document(3), { current }))).toBe('older');
  });

  it('says nothing when it is empty', async () => {
    expect(word(await judge('', { current: await inForce(4) }))).toBe('cleared');
  });

  it.each<[string, () => Promise<DesiredVerdict>, string]>([
    ['plain JSON', () => judge(JSON.stringify(document(4))), 'bad NOT_ALLOWED bad_sig'],
    ['bytes that are not UTF-8', () => judge(Buffer.from([0xff])), 'bad NOT_ALLOWED bad_sig'],
    ['a stranger', () => send(document(4), {}, fixture.stranger), 'bad NOT_ALLOWED bad_sig'],
    [
      'a command',
      async () => judge(await signEnvelope('lk1-cmd', document(4), fixture.ops)),
      'bad NOT_ALLOWED bad_sig',
    ],
    ['a key without the right', () => send(document(4), {}, fixture.noc), 'bad NOT_ALLOWED'],
    ['a root key', () => send(document(4), {}, fixture.root), 'bad NOT_ALLOWED'],
    ['a member too many', () => send(document(4, { token: 'x' })), 'bad BAD_ARGS'],
    ['one name twice', () => send(document(4, { endpoints: [endpoint, endpoint] })), 'bad BAD_ARGS'],
    [
      'a repeated key',
      async () => judge(await signText('lk1-desired', '{"v":1,"v":1}', fixture.ops)),
      'bad BAD_ARGS bad_json',
    ],
    ['another device', () => send(document(4, { dev: 'press-8' })), 'dropped replay'],
    ['too many bytes', () => judge(Buffer.alloc(65_537, 0x20)), 'dropped too_big'],
    ['another topic', () => judge('', {}, 'reported'), 'dropped topic'],
    [
      'garbage in broker mode',
      () => judge('garbage', { policy: { mode: 'broker' } }),
      'bad BAD_ARGS bad_json',
    ],
  ])('is kept out: %s', async (_what, verdict, expected) => {
    expect(word(await verdict())).toBe(expected);
  });

  it('has one digest for each distinct garbage, so that it is reported once', async () => {
    const digests = await Promise.all(
      ['garbage', 'garbage', 'other'].map(async (text) => {
        const verdict = await judge(text);
        return verdict.verdict === 'bad' ? verdict.digest : '';
      }),
    );
    expect(new Set(digests).size).toBe(2);
    expect(digests[0]).toBe(digests[1]);
  });
});
