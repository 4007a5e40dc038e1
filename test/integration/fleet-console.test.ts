import { request } from 'node:http';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import type { Page } from 'playwright-core';
import { ulid } from 'ulid';
import { expect, onTestFinished, test } from 'vitest';
import { descriptionOf, formatTag } from '../../src/fleet/credential-tag.ts';
import { openBrowser } from '../support/browser.ts';
import { hello, presence, reported } from '../support/fleet-messages.ts';
import { startFleetWorld, TENANT } from '../support/fleet-world.ts';
import { makeOperator } from '../support/operator.ts';
import { startScriptedDevice } from '../support/scripted-device.ts';
import { spawnNode } from '../support/spawn-node.ts';

/** Where the pictures go when somebody wants to look at them. */
const PICTURES = process.env['CONSOLE_PICTURES'];

const SITES = ['lyon', 'oslo', 'porto', 'turin'];
const NOW_S = Math.floor(Date.now() / 1000);
/** Begun four minutes ago. */
const ROTATION = ulid(Date.now() - 240_000);

const world = async () => {
  const fleet = await startFleetWorld();
  onTestFinished(() => fleet.close());
  const operator = await makeOperator(fleet.sandbox.line.broker.url, 'signed', fleet.sandbox.line.api);
  const publisher = await connectAsync(fleet.sandbox.line.broker.url, { protocolVersion: 4 });
  onTestFinished(() => publisher.endAsync(true));
  const put = (device: string, leaf: string, body: object): Promise<unknown> =>
    publisher.publishAsync(`lk1/${TENANT}/d/${device}/${leaf}`, JSON.stringify(body), {
      qos: 1,
      retain: true,
    });
  const credential = async (device: string, site: string, isRotated: boolean): Promise<void> => {
    const made = await fleet.api.credentials.create({
      description: descriptionOf(TENANT, device),
      metadata: formatTag({
        tenant: TENANT,
        device,
        site,
        gen: isRotated ? 2 : 1,
        mint: ROTATION,
        ...(isRotated ? { rotation: ROTATION, scope: 'fleet' } : {}),
      }),
      acl: [`bind:${device}.edge.test`],
    });
    if (!made.ok) throw new Error(made.fault.message);
  };
  const names = SITES.flatMap((site, s) =>
    Array.from({ length: 9 + 4 * s }, (_, i) => ({
      site,
      device: `${site}-${String(i + 1).padStart(2, '0')}`,
      i,
    })),
  );
  for (const { site, device, i } of names) {
    const isRotated = i % 2 === 0;
    await credential(device, site, isRotated);
    if (site === 'turin' && i === 20) continue;
    const isOff = i === 3;
    const isStuck = site === 'oslo' && i === 5;
    await put(device, 'presence', presence({ online: !isOff, why: 'lost', ts: NOW_S - 300 }));
    await put(device, 'hello', { ...hello, agent: i % 5 === 0 ? '0.0.9' : '0.1.0' });
    await put(
      device,
      'reported',
      reported({
        ts: NOW_S - 120,
        cred: { gen: isRotated ? 2 : 1, state: 'ok' },
        session: isStuck
          ? { state: 'down', since: NOW_S - 900, err: 'NGROK_NET' }
          : { state: 'up', since: NOW_S - 120 },
        endpoints: [
          {
            name: 'hmi',
            state: isStuck ? 'down' : 'up',
            url: `https://${device}.edge.test`,
            by: 'lease',
            lease_end: NOW_S + 1800,
          },
          { name: 'ssh', state: 'down', by: 'desired' },
        ],
        ...(i === 6
          ? {
              conditions: [
                {
                  code: 'UPSTREAM_DOWN',
                  severity: 'warning',
                  since: NOW_S,
                  msg: 'hmi: 127.0.0.1:8080 refuses',
                },
              ],
            }
          : {}),
      }),
    );
  }
  // One that answers, and whose words are not trusted.
  await credential('press-7', 'lyon', false);
  const device = await startScriptedDevice({
    url: fleet.sandbox.line.broker.url,
    keysFile: await operator.keysText(),
  });
  await put('press-7', 'presence', presence({ boot: '9f3c1a7e5b2d4c60', ts: NOW_S }));
  await put(
    'press-7',
    'reported',
    reported({
      ts: NOW_S,
      session: { state: 'up', since: NOW_S },
      endpoints: [{ name: 'web', state: 'down', code: '<img src=x>' }],
    }),
  );
  const running = spawnNode(
    'src/lockkeeper.ts',
    ['console', '--stuck-after', '10m', '--offline-after', '1s'],
    {
      env: { LOCKKEEPER_PROFILE: operator.profile, XDG_STATE_HOME: operator.dir },
    },
  );
  const url = /http:\S+/.exec(await running.line('console at'))?.[0] ?? '';
  const token = (await running.line(/^token/)).split(/\s+/)[1] ?? '';
  return { url, token, put, device, running, total: names.length + 1 };
};

const status = (
  url: string,
  options: { method?: string; headers?: Record<string, string>; path?: string },
): Promise<number> =>
  new Promise((resolve, reject) => {
    const asking = request(new URL(options.path ?? '/', url), {
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: false,
    });
    asking.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asking.once('error', reject);
    asking.end();
  });

const picture = async (page: Page, name: string): Promise<void> => {
  if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: false });
};

test('the fleet in a browser: signed in once, live, opened and closed with a press, on a phone and on a desk', async () => {
  const w = await world();
  const browser = await openBrowser();
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const outside: string[] = [];
  const errors: string[] = [];
  page.on('request', (asked) => {
    if (!asked.url().startsWith(w.url) && !asked.url().startsWith('data:')) outside.push(asked.url());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (said) => {
    if (said.type() === 'error' && !said.text().includes('401')) errors.push(said.text());
  });

  await page.goto(w.url);
  await page.fill('#token', 'wrong');
  await page.click('button.primary');
  await page.getByText('That is not the token.').waitFor();
  await page.fill('#token', w.token);
  await page.click('button.primary');
  await page.waitForSelector('body[data-ready=yes]');
  await page.getByText(`${w.total} devices`).waitFor();
  expect(page.url()).toBe(w.url);
  expect(await page.evaluate('document.cookie')).toBe('');
  expect(await page.textContent('.tile[data-state=offline] b')).toBe('4');
  expect(await page.textContent('.tile[data-state=stuck] b')).toBe('1');
  expect(await page.locator('.site').count()).toBe(4);
  await page.getByText('Rotation of the fleet').waitFor();
  // Trouble comes first.
  expect(await page.locator('.device').first().getAttribute('data-device')).toBe('oslo-06');
  await picture(page, 'desk-light');

  // A device that answers is opened with a lease, and said so.
  await page.fill('#search', 'press-7');
  await page.click('.device[data-device=press-7] summary');
  const endpoint = page.locator('.device[data-device=press-7] .endpoint[data-endpoint=web]');
  await endpoint.getByText('<img src=x>').waitFor();
  await endpoint.locator('select').selectOption('900');
  await page.evaluate('document.activeElement.blur()');
  await endpoint.getByRole('button', { name: 'Open' }).click();
  await page.getByText('press-7 web is open').waitFor();
  expect(w.device.commands.map(({ op, args }) => [op, args])).toEqual([
    ['start', { ep: 'web', lease_s: 900 }],
  ]);
  // What it reports then shows by itself.
  const lease = {
    name: 'web',
    state: 'up',
    url: 'https://press-7.edge.test',
    by: 'lease',
    lease_end: NOW_S + 900,
  } as const;
  await w.put(
    'press-7',
    'reported',
    reported({ ts: NOW_S, session: { state: 'up', since: NOW_S }, endpoints: [lease] }),
  );
  await endpoint.getByText('closes in').waitFor();
  await endpoint.getByRole('button', { name: 'Close' }).click();
  await page.getByText('press-7 web is closed').waitFor();
  expect(w.device.commands.at(-1)?.op).toBe('stop');

  // A device that goes is seen without a press.
  await page.fill('#search', 'lyon-01');
  await page.locator('.device[data-device=lyon-01] .pill.online').waitFor();
  await w.put('lyon-01', 'presence', presence({ online: false, why: 'shutdown' }));
  await page.locator('.device[data-device=lyon-01] .pill.offline').waitFor({ timeout: 60_000 });
  await page.fill('#search', '');

  await page.setViewportSize({ width: 390, height: 844 });
  await page.click('#theme');
  expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
  await picture(page, 'phone-dark');
  await page.locator('.site').first().click();
  await page.locator('.device').first().locator('summary').click();
  await page.evaluate('window.scrollTo(0, 560)');
  await picture(page, 'phone-device');
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.evaluate('window.scrollTo(0, 0)');
  await picture(page, 'desk-dark');

  await page.click('text=Sign out');
  await page.getByLabel('Token that').waitFor();
  expect([outside, errors]).toEqual([[], []]);
  w.running.kill('SIGINT');
  expect((await w.running.exit).code).toBe(0);
});

test('without session, from elsewhere or by another name there is nothing', async () => {
  const w = await world();
  const { port } = new URL(w.url);
  const own = { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` };
  expect(await status(w.url, { path: '/api/fleet' })).toBe(401);
  expect(await status(w.url, { path: '/api/stream' })).toBe(401);
  expect(await status(w.url, { path: '/app.js' })).toBe(401);
  expect(await status(w.url, { headers: { host: 'evil.example' } })).toBe(421);
  expect(await status(w.url, { headers: { host: `evil.example:${port}` } })).toBe(421);
  expect(await status(w.url, { method: 'POST', path: '/api/commands', headers: own })).toBe(401);
  expect(await status(w.url, { method: 'POST', path: '/api/commands', headers: { host: own.host } })).toBe(
    403,
  );
  expect(
    await status(w.url, {
      method: 'POST',
      path: '/login',
      headers: { ...own, origin: 'http://evil.example' },
    }),
  ).toBe(403);
  expect(await status(w.url, { method: 'DELETE', headers: own })).toBe(405);
  // A token in the address is no way in.
  expect(await status(w.url, { path: `/api/fleet?token=${w.token}` })).toBe(401);
  const page = await fetch(w.url);
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await page.text()).not.toContain(w.token);
});
