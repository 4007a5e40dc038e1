import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readEnvelope, signEnvelope, verifyEnvelope } from '../../../src/protocol/envelope.ts';
import {
  importSigner,
  importVerifier,
  makeSigningKey,
  type Signer,
} from '../../../src/protocol/signing-key.ts';

let signer: Signer;
let verifier: Awaited<ReturnType<typeof importVerifier>>;
beforeAll(async () => {
  const file = await makeSigningKey('ops-1');
  signer = await importSigner(file);
  verifier = await importVerifier(file.x);
});

const open = async (text: string): Promise<string | undefined> => {
  const shape = readEnvelope(text, 'lk1-cmd');
  const payload = shape && (await verifyEnvelope(shape, verifier));
  return payload && Buffer.from(payload).toString();
};

describe('envelope', () => {
  it('gives back what was signed, and names the signer', async () => {
    const text = await signEnvelope('lk1-cmd', { op: 'ping', n: 1 }, signer);
    expect(readEnvelope(text, 'lk1-cmd')?.kid).toBe('ops-1');
    expect(await open(text)).toBe('{"op":"ping","n":1}');
    const header = JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString()) as object;
    expect(header).toEqual({ alg: 'EdDSA', kid: 'ops-1', typ: 'lk1-cmd' });
  });

  it('is refused with any one character altered, at every position', async () => {
    const text = await signEnvelope('lk1-cmd', { op: 'ping' }, signer);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';
    for (let at = 0; at < text.length; at++) {
      const code = alphabet.indexOf(text[at] ?? '');
      const altered = text.slice(0, at) + (alphabet[(code + 1) % 64] ?? 'A') + text.slice(at + 1);
      expect(await open(altered), `position ${at}`).toBeUndefined();
    }
  });

  it('is refused with bytes altered, added or removed anywhere', async () => {
    const text = await signEnvelope('lk1-cmd', { op: 'start', args: { ep: 'web' } }, signer);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length),
        fc.nat(3),
        fc.string({ maxLength: 3 }),
        async (at, cut, insert) => {
          const altered = text.slice(0, at) + insert + text.slice(at + cut);
          fc.pre(altered !== text);
          expect(await open(altered)).toBeUndefined();
        },
      ),
      { numRuns: 400 },
    );
  });

  it('is refused when the last character of the signature spells the same bytes otherwise', async () => {
    const text = await signEnvelope('lk1-cmd', { op: 'ping' }, signer);
    const bytes = Buffer.from(text.split('.')[2] ?? '', 'base64url');
    const twins = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map((c) => text.slice(0, -1) + c)
      .filter((t) => Buffer.from(t.split('.')[2] ?? '', 'base64url').equals(bytes));
    expect(twins).toHaveLength(16);
    for (const twin of twins) expect(await open(twin)).toBe(twin === text ? '{"op":"ping"}' : undefined);
  });

  it('does not pass for another type', async () => {
    const text = await signEnvelope('lk1-desired', { op: 'ping' }, signer);
    expect(readEnvelope(text, 'lk1-cmd')).toBeUndefined();
    expect(readEnvelope(text, 'lk1-keys')).toBeUndefined();
    expect(readEnvelope(text, 'lk1-desired')).toBeDefined();
  });
});
