/** Speaks a tunnel process's side of the channel without any SDK. How it behaves is the last part of its tunnel id. */
import { existsSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

const [runDir = '', tunnel = ''] = process.argv.slice(2);
const behaviour = tunnel.split('_')[1] ?? '';
const channel = new Socket({ fd: 3, readable: true, writable: true });
const say = (message: object): void => void channel.write(`${JSON.stringify(message)}\n`);
const event = (body: object): void => say({ type: 'event', event: body });

process.on('SIGTERM', () => {
  if (behaviour !== 'stubborn') process.exit(0);
  writeFileSync(join(runDir, 'asked-to-end'), '');
});
if (behaviour === 'stubborn') writeFileSync(join(runDir, 'handler-stands'), '');
if (behaviour === 'crash') {
  process.stderr.write(
    `first line\n${'x'.repeat(5_000)}\nlast words of 2abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRSTU\n`,
  );
  process.exit(134);
}
if (behaviour === 'garbage') channel.write('this is no message\n');
if (behaviour === 'endless') channel.write('x'.repeat(1_500_000));

interface Asked {
  readonly id: number;
  readonly type: string;
  readonly spec?: { readonly name: string };
}

const act = (request: Asked): void => {
  const { id, type } = request;
  if (behaviour === 'mute' || behaviour === 'stubborn') return;
  if (type === 'ping' && behaviour === 'deaf') return;
  if (type === 'bind' && behaviour === 'refusing') {
    say({
      type: 'answer',
      id,
      ok: false,
      fault: { code: 'INTERNAL', message: 'no session', retryable: false },
    });
    return;
  }
  say({ type: 'answer', id, ok: true, snapshot: null });
  if (behaviour === 'late' && type === 'start') {
    // An answer to nothing must not disturb.
    say({ type: 'answer', id: 9_999, ok: true, snapshot: null });
  }
  if (type === 'start') {
    event({ type: 'connected', sessionId: 'ts_1', tookMs: 1 });
    const hasSecret = JSON.stringify([process.argv, process.env]).includes('hunter2-secret');
    say({
      type: 'log',
      level: 'warn',
      target: 'fake',
      message: `token hunter2-secret, leaked: ${hasSecret}`,
    });
  }
  if (type === 'bind')
    event({ type: 'bound', endpoint: request.spec?.name, url: 'https://a', endpointId: 'ep_1' });
  if (type === 'drain') {
    event({ type: 'drained', tookMs: 1, cut: [] });
    process.exitCode = 0;
    channel.end(() => process.exit());
  }
};

let rest = '';
channel.setEncoding('utf8').on('data', (text: string) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) act(JSON.parse(line) as Asked);
});
channel.on('end', () => process.exit(existsSync(runDir) ? 0 : 1));
