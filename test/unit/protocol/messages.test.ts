import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_TYPES } from '../../../src/protocol/event-schema.ts';
import { newBootNonce, newCommandId } from '../../../src/protocol/ids.ts';
import {
  birthMessage,
  downCause,
  eventMessage,
  goodbyeMessage,
  healthMessage,
  helloMessage,
  isDownCause,
  isStalePresence,
  reportedMessage,
  resultMessage,
  willMessage,
} from '../../../src/protocol/messages.ts';
import { isBootNonce, isUlid } from '../../../src/protocol/names.ts';
import type { ReportedMessage } from '../../../src/protocol/reported-schema.ts';
import { cutText, encodedBytes } from '../../../src/protocol/size.ts';
import {
  checkEvent,
  checkHealth,
  checkHello,
  checkPresence,
  checkReported,
  checkResult,
} from '../../../src/protocol/validate.ts';
import { ID, samples } from './samples.ts';

const boot = '9f3c1a7e5b2d4c60';
const ts = 1_732_430_000;
const text = fc.string({ unit: 'grapheme', maxLength: 400 });
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/);
const code = fc.stringMatching(/^[A-Z][A-Z_]{2,39}$/);

const reported = fc.record<Omit<ReportedMessage, 'v'>>({
  ts: fc.constant(ts),
  boot: fc.constant(boot),
  rev: fc.nat(),
  applied: fc.nat(),
  cred: fc.constant({ gen: 1, fp: '0a1b2c3d', state: 'ok' as const }),
  session: fc.constant({ state: 'up' as const, since: ts }),
  endpoints: fc.array(
    fc.record({
      name,
      state: fc.constantFrom('up', 'opening', 'down', 'failed', 'denied'),
      url: fc.webUrl().map((url) => url.padEnd(40, 'x').repeat(4)),
      since: fc.constant(ts),
      code,
      by: fc.constantFrom('desired', 'lease'),
      lease_end: fc.constant(ts),
    }),
    { maxLength: 8 },
  ),
  conditions: fc.array(
    fc.record({
      code,
      severity: fc.constantFrom('info', 'warning', 'error'),
      since: fc.constant(ts),
      msg: text,
      ep: name,
    }),
    { maxLength: 20 },
  ),
  last: fc.array(fc.constant([ID, 'superseded', 'NGROK_AUTH_REFUSED']), { maxLength: 12 }),
});

describe('messages', () => {
  it('that report stay at or under 2,048 bytes with up to 8 endpoints, and valid', () => {
    fc.assert(
      fc.property(reported, (body) => {
        const message = reportedMessage(body);
        expect(encodedBytes(message)).toBeLessThanOrEqual(2048);
        expect(checkReported(message)).toMatchObject({ ok: true });
        expect(message.endpoints.map((e) => [e.name, e.state])).toEqual(
          body.endpoints.map((e) => [e.name, e.state]),
        );
      }),
    );
  });

  it('that report give up the last results first, then texts, and keep the worst condition', () => {
    const condition = (severity: 'info' | 'error', n: number) => ({
      code: `CODE_${n}`,
      severity,
      since: ts,
      msg: 'm'.repeat(110),
    });
    const base = {
      ts,
      boot,
      rev: 1,
      cred: { gen: 1 },
      session: { state: 'up' as const },
      endpoints: [],
      last: [
        [ID, 'succeeded'],
        [ID, 'failed', 'DEADLINE'],
      ],
    };
    expect(reportedMessage({ ...base, conditions: [condition('info', 1)] })).toMatchObject({
      last: base.last,
      conditions: [{ msg: 'm'.repeat(110) }],
    });
    const eleven = Array.from({ length: 11 }, (_, n) => condition(n === 9 ? 'error' : 'info', n));
    const crowded = reportedMessage({ ...base, conditions: eleven });
    expect(crowded.last?.length ?? 0).toBeLessThan(2);
    expect(crowded.conditions?.[0]?.code).toBe('CODE_9');
    const full = reportedMessage({
      ...base,
      conditions: Array.from({ length: 16 }, (_, n) => condition(n === 9 ? 'error' : 'info', n)),
    });
    expect(full).not.toHaveProperty('last');
    expect(full.conditions).toHaveLength(16);
    expect(full.conditions?.some(({ msg }) => msg !== undefined)).toBe(false);
  });

  it('that answer or tell are short and valid, whatever is put in', () => {
    const data = fc.dictionary(
      fc.stringMatching(/^[a-z]{1,8}$/),
      fc.oneof(text, fc.nat(), fc.array(fc.nat(), { maxLength: 600 })),
      {
        maxKeys: 8,
      },
    );
    fc.assert(
      fc.property(text, data, code, fc.constantFrom(...EVENT_TYPES), (msg, out, c, type) => {
        const result = resultMessage({
          id: ID,
          op: 'ping',
          status: 'failed',
          n: 2,
          ts,
          boot,
          code: c,
          msg,
          out,
        });
        expect(encodedBytes(result)).toBeLessThanOrEqual(2048);
        expect(checkResult(result)).toMatchObject({ ok: true });
        const event = eventMessage({ ts, boot, n: 1, type, cause: msg, data: out });
        expect(encodedBytes(event)).toBeLessThanOrEqual(2048);
        expect(checkEvent(event)).toMatchObject({ ok: true });
      }),
    );
  });

  it('of health keep three decimals and drop endpoints that do not fit', () => {
    const eps = Array.from({ length: 8 }, (_, n) => ({ name: `endpoint-${n}`, data: 'x'.repeat(400) }));
    const message = healthMessage({
      ts,
      boot,
      n: 1,
      sess: 'up',
      lat: 41.23456,
      sys: { cpu: 0.123456, t: null, mem: Number.NaN },
      eps,
      sec: { bad_sig: 2 },
    });
    expect(checkHealth(message)).toMatchObject({ ok: true });
    expect(message).toMatchObject({ lat: 41.235, sys: { cpu: 0.123, t: null, mem: 0 } });
    expect(encodedBytes(message)).toBeLessThanOrEqual(2048);
    expect(message.eps?.length).toBeGreaterThan(2);
  });

  it('of presence share boot and number, and are valid', () => {
    const all = [birthMessage(boot, 3, ts), willMessage(boot, 3), goodbyeMessage(boot, 3, ts, 'shutdown')];
    for (const message of all) {
      expect(checkPresence(message)).toMatchObject({ ok: true });
      expect(message).toMatchObject({ boot, n: 3 });
    }
  });

  it('tell an old will from the word of the connection that stands', () => {
    expect(isStalePresence({ v: 1, online: false, boot, n: 2 }, boot, 3)).toBe(true);
    expect(isStalePresence(willMessage(boot, 3), boot, 3)).toBe(true);
    expect(isStalePresence(goodbyeMessage('ffffffff', 9, ts, 'shutdown'), boot, 3)).toBe(true);
    expect(isStalePresence(goodbyeMessage(boot, 3, ts, 'shutdown'), boot, 3)).toBe(false);
    expect(isStalePresence(birthMessage(boot, 2, ts), boot, 3)).toBe(false);
  });

  it('of hello are what goes in, with the version', () => {
    const sample = samples.find(([kind]) => kind === 'hello')?.[1];
    const hello = helloMessage({ boot, agent: 'lockkeeper 0.1.0', proto: 5, trust: 'signed', ops: ['ping'] });
    expect(checkHello(hello)).toMatchObject({ ok: true });
    expect(checkHello(sample)).toMatchObject({ ok: true });
  });

  it('cut text by characters, never inside one', () => {
    expect(cutText('abc', 3)).toBe('abc');
    expect(cutText('abcd', 3)).toBe('ab…');
    expect(cutText('🔒🔑🔓🔐', 3)).toBe('🔒🔑…');
    expect(cutText('🔒🔑🔓', 3)).toBe('🔒🔑🔓');
  });

  it('name the cause of a closed endpoint by an agreed word first', () => {
    expect(downCause('lease', 'ended')).toBe('lease ended');
    expect(isDownCause(downCause('command'))).toBe(true);
    expect(isDownCause('leased')).toBe(false);
  });
});

describe('ids', () => {
  it('of commands sort by time and differ by chance', () => {
    const id = newCommandId({ wall: () => ts * 1000, random: () => 0.5 });
    expect(isUlid(id)).toBe(true);
    expect(newCommandId({ wall: () => ts * 1000 + 1, random: () => 0 }) > id).toBe(true);
    expect(newCommandId({ wall: () => ts * 1000, random: Math.random })).not.toBe(id);
  });

  it('of a start are 16 hex digits of chance', () => {
    expect(isBootNonce(newBootNonce())).toBe(true);
    expect(newBootNonce()).not.toBe(newBootNonce());
    expect(newBootNonce((length) => new Uint8Array(length).fill(0xab))).toBe('ab'.repeat(8));
  });
});
