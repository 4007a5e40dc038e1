import { expect, test } from 'vitest';
import { readConsoleCommand } from '../../../src/fleet/console/console-server.ts';
import {
  createConsoleDoor,
  isOwnHost,
  isOwnOrigin,
  newConsoleToken,
} from '../../../src/fleet/console/door.ts';
import { APP_JS } from '../../../src/fleet/console/page/app.ts';
import { loginHtml } from '../../../src/fleet/console/page/html.ts';
import { rotationView } from '../../../src/fleet/console/rotation-progress.ts';
import { goodFacts, noFacts } from '../../support/fleet-messages.ts';
import { manualClock } from '../../support/manual-clock.ts';

test('the token is typed once for a session that ends with its time, with sign-out and with the program', async () => {
  const clock = manualClock();
  const token = newConsoleToken();
  const door = createConsoleDoor(token, clock);
  const signed = door.signIn(` ${token.toUpperCase()} `);
  if (typeof signed === 'string') throw new Error(signed);
  expect(signed.cookie).toMatch(
    /^lockkeeper_console=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=43200$/,
  );
  expect(signed.cookie).not.toContain(token);
  const cookie = signed.cookie.split(';')[0];
  expect([
    door.isIn(cookie),
    door.isIn(`a=1; ${cookie}`),
    door.isIn(undefined),
    door.isIn('lockkeeper_console=x'),
  ]).toEqual([true, true, false, false]);
  expect(createConsoleDoor(token, clock).isIn(cookie)).toBe(false);
  await clock.advance(12 * 3600 * 1000);
  expect(door.isIn(cookie)).toBe(false);
  const again = door.signIn(token);
  if (typeof again === 'string') throw new Error(again);
  door.signOut(again.cookie);
  expect(door.isIn(again.cookie.split(';')[0])).toBe(false);
});

test('guessing is slow, and no two tokens are alike', async () => {
  const clock = manualClock();
  const door = createConsoleDoor('aaaa-bbbb-cccc-dddd', clock);
  expect(Array.from({ length: 11 }, () => door.signIn('x')).map(String)).toEqual([
    ...Array<string>(10).fill('wrong'),
    'wait',
  ]);
  expect(door.signIn('aaaa-bbbb-cccc-dddd')).toBe('wait');
  await clock.advance(60_000);
  expect(typeof door.signIn('aaaa-bbbb-cccc-dddd')).toBe('object');
  const tokens = Array.from({ length: 200 }, newConsoleToken);
  expect(new Set(tokens).size).toBe(200);
  expect(tokens.every((one) => /^([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}$/.test(one))).toBe(true);
});

test('only its own names, and only its own page', () => {
  expect(
    ['127.0.0.1:80', 'localhost:80', 'LOCALHOST:80'].map((host) => isOwnHost(host, 80, '127.0.0.1')),
  ).toEqual([true, true, true]);
  expect(
    ['evil.example', 'evil.example:80', '127.0.0.1', '127.0.0.1:81', '', undefined].map((host) =>
      isOwnHost(host, 80, '127.0.0.1'),
    ),
  ).toEqual(Array(6).fill(false));
  expect(isOwnOrigin('http://localhost:80', 'localhost:80')).toBe(true);
  expect(
    [undefined, 'null', 'https://localhost:80', 'http://127.0.0.1:80', 'http://evil.example'].map((o) =>
      isOwnOrigin(o, 'localhost:80'),
    ),
  ).toEqual(Array(5).fill(false));
  expect(loginHtml('<script>')).not.toContain('<script>');
});

test('what the page posts is read strictly', () => {
  const read = (body: object) => readConsoleCommand(JSON.stringify(body));
  const good = { device: 'press-7', endpoint: 'web', verb: 'start', leaseS: 900 };
  expect(read(good)).toEqual(good);
  expect(read({ ...good, verb: 'stop' })).toEqual({ ...good, verb: 'stop', leaseS: null });
  for (const bad of [
    { device: '../x' },
    { endpoint: '*' },
    { verb: 'rekey' },
    { leaseS: 59 },
    { leaseS: 86_401 },
    { leaseS: '900' },
  ])
    expect(typeof read({ ...good, ...bad })).toBe('string');
  expect(typeof readConsoleCommand('{')).toBe('string');
});

test('the script compiles', () => {
  expect(() => new Function(APP_JS)).not.toThrow();
});

test('how far a rotation is, from credentials and reports alone', () => {
  const [credential] = goodFacts().credentials;
  if (credential === undefined) throw new Error('no credential');
  const OLD = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
  const NEW = '01KDW2Y8000000000000000000';
  const fresh = { ...credential, id: 'cr_2', gen: 2, rotation: NEW, scope: 'site:lyon' };
  const devices = new Map([
    ['a-done', goodFacts({ credentials: [fresh] })],
    ['b-swapping', goodFacts({ credentials: [fresh, credential] })],
    ['c-not-told', goodFacts({ credentials: [fresh] })],
    ['d-waiting', goodFacts({ credentials: [{ ...credential, rotation: OLD, scope: 'fleet' }] })],
    ['e-elsewhere', goodFacts({ site: 'oslo' })],
  ]);
  const generation = (device: string): number => (device === 'a-done' ? 2 : 1);
  expect(rotationView({ ...noFacts, devices }, generation)).toEqual({
    id: NEW,
    scope: 'site:lyon',
    startedAtMs: expect.any(Number) as number,
    total: 4,
    done: 1,
    underWay: 2,
  });
  expect(rotationView({ ...noFacts, devices: new Map([['x-1', goodFacts()]]) }, generation)).toBeNull();
});
