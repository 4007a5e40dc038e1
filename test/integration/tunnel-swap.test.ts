import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { bindSpec, tunnelLab } from '../support/tunnel-lab.ts';
import { httpUpstream, tcpUpstream } from '../support/tunnel-upstreams.ts';
import { waitFor } from '../support/wait-for.ts';

const BANNER = 'B'.repeat(40);

/** One visitor that waits for the banner and leaves. */
const hear = (port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.length >= BANNER.length) socket.end();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(text));
  });

test('three swaps under load cost no request and no banner', async () => {
  const lab = await tunnelLab();
  const { tunnels, event, events, start } = lab.supervisor();
  const webPort = await httpUpstream((incoming, response) => {
    if (incoming.url === '/stream') {
      response.write('a');
      setTimeout(() => response.end('z'), 700);
    } else response.end('ok');
  });
  const rawPort = await tcpUpstream((socket) => {
    socket.write(BANNER);
    socket.on('end', () => socket.end()).resume();
  });
  let publicUrl = '';
  const open = async (tunnel: string): Promise<void> => {
    start({ tunnel });
    await event('connected', (e) => e.tunnel === tunnel);
    tunnels.bind(tunnel, bindSpec('web', { port: webPort }));
    tunnels.bind(tunnel, bindSpec('raw', { port: rawPort }, { proto: 'tcp', url: publicUrl }));
    const bound = await event('bound', (e) => e.tunnel === tunnel && e.endpoint === 'raw');
    publicUrl = bound.url;
    await event('serving', (e) => e.tunnel === tunnel && e.endpoint === 'raw');
  };
  await open('t1');

  const agent = new Agent({ keepAlive: true, maxSockets: 12 });
  onTestFinished(() => agent.destroy());
  const answers = new Map<string, number>();
  const ask = (path: string): Promise<string> =>
    new Promise((resolve) => {
      const visitor = request(
        { host: '127.0.0.1', port: lab.front.httpPort, path, headers: { host: 'web.edge.test' }, agent },
        (response) => {
          let body = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            body += chunk;
          });
          response.on('error', () => resolve('cut'));
          response.on('end', () => resolve(`${response.statusCode} ${body}`));
        },
      );
      visitor.on('error', (error) => resolve(error.message));
      visitor.end();
    });
  let isLoading = true;
  const load = async (work: () => Promise<string>): Promise<void> => {
    while (isLoading) {
      const answer = await work();
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
  };
  const loaders = [
    ...Array.from({ length: 8 }, () => load(() => ask('/'))),
    ...Array.from({ length: 3 }, () => load(() => ask('/stream'))),
    ...Array.from({ length: 3 }, () => load(() => hear(Number(new URL(publicUrl).port)))),
  ];

  for (let swap = 1; swap <= 3; swap += 1) {
    await open(`t${swap + 1}`);
    tunnels.drain(`t${swap}`, 20_000);
    const drained = await event('drained', (e) => e.tunnel === `t${swap}`);
    expect(drained.cut).toEqual([]);
    await event('exited', (e) => e.tunnel === `t${swap}` && e.code === 0);
  }
  isLoading = false;
  await Promise.all(loaders);
  expect(new Set(answers.keys())).toEqual(new Set(['200 az', '200 ok', BANNER]));
  expect(Math.min(...answers.values())).toBeGreaterThan(10);
  expect(events.filter(({ type }) => type === 'lost' || type === 'bind-failed')).toEqual([]);
  await waitFor(() => lab.edge.sessions.size === 1);
});
