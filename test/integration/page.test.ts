import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openBrowser } from '../support/browser.ts';
import { ALWAYS_ON, type Device, startDevice } from '../support/device.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

const TOKEN = 'a-token-for-the-page';

interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

const ask = (
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string,
): Promise<Seen> =>
  new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path, agent: false, method: body === undefined ? 'GET' : 'POST', headers },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });

const bearer = { authorization: `Bearer ${TOKEN}` };

const startWithPage = async (
  config: Readonly<Record<string, unknown>> = {},
): Promise<{ device: Device; port: number }> => {
  const port = await freePort();
  const device = await startDevice({ start: false });
  const tokenFile = join(device.dir, 'page-token');
  await writeFile(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
  await device.writeConfig({
    ...ALWAYS_ON,
    http: { listen: `127.0.0.1:${port}`, tokenFile },
    ...config,
  });
  await device.start();
  await device.until(({ endpoints }) => endpoints.every(({ state }) => state === 'up'), 'the endpoint is up');
  return { device, port };
};

test('page and metrics ask for the token and the right Host header; probes are open', async () => {
  const { port } = await startWithPage();

  for (const path of ['/metrics', '/v1/status', '/v1/page', '/api/status'])
    expect((await ask(port, path)).status, path).toBe(401);
  expect(await ask(port, '/')).toMatchObject({ status: 303, headers: { location: '/login' } });
  expect((await ask(port, '/metrics', { authorization: 'Bearer wrong' })).status).toBe(401);
  expect((await ask(port, `/metrics?token=${TOKEN}`)).status).toBe(401);
  expect(await ask(port, '/metrics', bearer)).toMatchObject({
    status: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
  });
  expect(await ask(port, '/livez')).toMatchObject({ status: 200, text: 'ok\n' });
  expect(await ask(port, '/readyz')).toMatchObject({ status: 200, text: 'ok\n' });

  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', '10.0.0.1']) {
    expect((await ask(port, '/metrics', { ...bearer, host })).status, host).toBe(421);
    expect((await ask(port, '/livez', { host })).status, host).toBe(421);
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, 'LOCALHOST'])
    expect((await ask(port, '/metrics', { ...bearer, host })).status, host).toBe(200);
});

test('the token typed once gives a cookie that scripts and other sites cannot use', async () => {
  const { port, device } = await startWithPage();
  const form = { 'content-type': 'application/x-www-form-urlencoded' };

  const wrong = await ask(port, '/login', form, 'token=nonsense');
  expect(wrong).toMatchObject({ status: 303, headers: { location: '/login?wrong' } });
  expect(wrong.headers['set-cookie']).toBeUndefined();
  const foreign = await ask(port, '/login', { ...form, origin: 'https://evil.example' }, `token=${TOKEN}`);
  expect(foreign.status).toBe(403);

  const signedIn = await ask(port, '/login', form, `token=${TOKEN}`);
  expect(signedIn).toMatchObject({ status: 303, headers: { location: '/' } });
  const [setCookie = ''] = signedIn.headers['set-cookie'] ?? [];
  expect(setCookie).toMatch(/; HttpOnly; SameSite=Strict; Path=\//);
  expect(setCookie).not.toContain(TOKEN);
  const cookie = setCookie.split(';')[0] ?? '';
  const page = await ask(port, '/', { cookie });
  expect(page.status).toBe(200);
  expect(page.headers['content-security-policy']).toContain("default-src 'none'");
  expect(page.headers['content-security-policy']).not.toContain('unsafe');

  const forged = cookie.replace(/=\d+\./, '=9999999999.');
  expect((await ask(port, '/metrics', { cookie: forged })).status).toBe(401);
  // Another token in the file ends what the old one opened, without a restart.
  await writeFile(join(device.dir, 'page-token'), 'another\n');
  expect((await ask(port, '/metrics', { cookie })).status).toBe(401);
  expect((await ask(port, '/metrics', { authorization: 'Bearer another' })).status).toBe(200);
});

test('wrong tokens in a row make every try wait', async () => {
  const { port } = await startWithPage();
  for (let i = 0; i < 10; i++) await ask(port, '/login', {}, `token=guess-${i}`);
  expect(await ask(port, '/login', {}, `token=${TOKEN}`)).toMatchObject({
    headers: { location: '/login?wait' },
  });
});

test('an address beyond loopback is refused before anything runs', async () => {
  const device = await startDevice({ start: false });
  await device.writeConfig({ http: { listen: '0.0.0.0:9464' } });
  const daemon = device.spawn();
  expect(await daemon.exit).toMatchObject({ code: 78 });
  expect(daemon.stderr().split('\n')[0]).toContain('http.listen');
});

/** Names and label sets of all series, without their values. */
const seriesOf = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')))
    .toSorted();

test('thousands of visitors with names and ports of their own make no new series', async () => {
  const { device, port } = await startWithPage();
  await device.visit();
  const before = seriesOf((await ask(port, '/metrics', bearer)).text);

  const visitors = 3000;
  let next = 0;
  const edge = new URL(device.sandbox.line.edge.http);
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      while (next < visitors) {
        const i = next++;
        // A third of them asks for names that nobody has.
        const host = i % 3 === 0 ? `n${i}.edge.test` : 'device-1.edge.test';
        await ask(Number(edge.port), `/path-${i}?q=${i}`, {
          host,
          'x-forwarded-for': `203.0.113.${i % 250}`,
        });
      }
    }),
  );
  await waitFor(
    async () => {
      const status = await device.status();
      return (status.endpoints[0]?.requests ?? 0) >= (visitors * 2) / 3;
    },
    { what: 'every request is counted' },
  );

  const text = (await ask(port, '/metrics', bearer)).text;
  expect(seriesOf(text)).toEqual(before);
  const requests = Number(/lockkeeper_endpoint_requests_total\{endpoint="web"\} (\d+)/.exec(text)?.[1]);
  expect(requests).toBe((visitors * 2) / 3 + 1);
  for (const secret of ['path-', '203.0.113', 'n3.edge', TOKEN]) expect(text).not.toContain(secret);
});

test('metrics over the control socket, and the words of ngrok agent tools', async () => {
  const { device } = await startWithPage();
  await device.visit();
  const overSocket = async (path: string): Promise<Seen> =>
    new Promise((resolve, reject) => {
      const asked = request({ socketPath: join(device.dir, 'd.sock'), path, agent: false }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      });
      asked.on('error', reject);
      asked.end();
    });
  await device.until(({ endpoints }) => endpoints[0]?.requests === 1, 'the request is counted');

  const { text } = await overSocket('/metrics');
  expect(text).toContain('lockkeeper_endpoint_requests_total{endpoint="web"} 1\n');
  expect(text).toContain('lockkeeper_endpoint_responses_total{endpoint="web",status_class="2xx"} 1\n');
  expect(text).toContain('lockkeeper_http_server_request_duration_seconds_count{endpoint="web"} 1\n');
  expect(text).toContain('lockkeeper_endpoint_active_hours_total{endpoint="web"} 1\n');
  expect((await overSocket('/livez')).text).toBe('ok\n');
  expect(JSON.parse((await overSocket('/api/status')).text)).toMatchObject({
    status: 'online',
    session: { legs: [{ latency: expect.any(Number) }] },
  });
  expect(JSON.parse((await overSocket('/api/endpoints')).text)).toMatchObject({
    endpoints: [
      {
        name: 'web',
        uri: '/api/endpoints/web',
        url: expect.stringContaining('device-1.edge.test'),
        upstream: { url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:/) },
      },
    ],
  });
  expect(JSON.parse((await overSocket('/api/endpoints/web')).text)).toMatchObject({
    metrics: { conns: { count: 1 }, http: { count: 1 } },
  });
  expect((await overSocket('/api/endpoints/nobody')).status).toBe(404);
});

test('the page in a browser: signs in, shows the device and moves, on a phone and on a desk', async () => {
  const { device, port } = await startWithPage();
  const browser = await openBrowser();
  for (const [name, size] of [
    ['phone', { width: 390, height: 844 }],
    ['desk', { width: 1280, height: 900 }],
  ] as const) {
    const context = await browser.newContext({
      viewport: size,
      colorScheme: name === 'phone' ? 'dark' : 'light',
    });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    const bad: string[] = [];
    page.on('pageerror', (error) => bad.push(error.message));
    page.on('console', (line) => {
      if (line.type() === 'error') bad.push(line.text());
    });
    page.on('request', (asked) => {
      if (!asked.url().startsWith(`http://localhost:${port}/`) && !asked.url().startsWith('data:'))
        bad.push(asked.url());
    });
    await page.goto(`http://localhost:${port}/`);
    await page.getByLabel("Token of this device's page").fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('That is not the token.').waitFor();
    await page.getByLabel("Token of this device's page").fill(TOKEN);
    await page.getByRole('button', { name: 'Sign in' }).click();

    const card = page.locator('[data-endpoint="web"]');
    await card.getByText('up', { exact: true }).waitFor();
    await page.getByText('1 of 1 endpoints up').waitFor();
    await page.getByRole('heading', { name: 'device-1' }).waitFor();
    await page.getByText('Session up').first().waitFor();
    // A visitor's request arrives on the page by itself, and the plot moves.
    const curve = card.locator('svg.curve path.req').last();
    const before = await curve.getAttribute('d');
    await device.visit();
    await waitFor(async () => (await curve.getAttribute('d')) !== before, { what: 'the plot moves' });
    const width = await page.evaluate('document.documentElement.scrollWidth');
    expect(width, `${name} does not scroll sideways`).toBe(size.width);
    expect(bad, name).toEqual([]);

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel("Token of this device's page").waitFor();
    await context.close();
  }
});

test('the page says what is wrong, and that it lost the device', async () => {
  const { device, port } = await startWithPage({
    upstreams: { hmi: { url: `http://127.0.0.1:${await freePort()}` } },
  });
  const browser = await openBrowser();
  const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
  await page.goto(`http://localhost:${port}/login`);
  await page.getByLabel("Token of this device's page").fill(TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Needs a look').waitFor();
  await page
    .getByText(/UPSTREAM_DOWN/)
    .first()
    .waitFor();
  await device.kill('SIGTERM');
  await page.getByText('The device does not answer').waitFor();
});
