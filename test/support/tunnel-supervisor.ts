/** A supervisor in a process of its own, so that it can be killed: starts one tunnel with one endpoint. */
import { systemClock } from '../../src/core/clock.ts';
import type { BindSpec } from '../../src/core/endpoint.ts';
import { createTunnels, type TunnelsOptions } from '../../src/tunnel/tunnels.ts';

interface Job {
  readonly options: Omit<TunnelsOptions, 'clock' | 'log'>;
  readonly authtoken: string;
  readonly spec: BindSpec;
}

let text = '';
for await (const chunk of process.stdin) text += String(chunk);
const job = JSON.parse(text) as Job;
const tunnels = createTunnels({ ...job.options, clock: systemClock, log: () => undefined });
tunnels.onEvent((event) => {
  process.stdout.write(`${JSON.stringify(event)}\n`);
  if (event.type === 'connected') tunnels.bind('t1', job.spec);
});
tunnels.start({
  tunnel: 't1',
  slot: 'b',
  generation: 3,
  authtoken: job.authtoken,
  connectDeadlineMs: 5_000,
});
process.on('SIGUSR2', () => {
  void tunnels.release().then(() => process.stdout.write('released\n'));
});
