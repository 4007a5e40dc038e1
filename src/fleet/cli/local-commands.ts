/** `status`, `lock`, `unlock`: the device's own view, from the device itself. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { callDaemon, DEFAULT_SOCKET } from './control-client.ts';
import { statusLines } from './status-table.ts';

interface LocalOptions {
  readonly json?: boolean;
  readonly socket?: string;
}

export const addLocalCommands = (program: Command, cli: Cli): void => {
  const socketOf = (options: LocalOptions): string =>
    options.socket ?? (cli.env['LOCKKEEPER_SOCKET'] || DEFAULT_SOCKET);

  program
    .command('status')
    .description('show how this device sees itself')
    .option('--json', 'print JSON')
    .option('--socket <path>', `the daemon's control socket (default ${DEFAULT_SOCKET})`)
    .action(
      cli.action(async (options: LocalOptions) => {
        const out = cli.output(options);
        const status = await callDaemon(socketOf(options), 'GET', '/v1/status');
        if (!status.ok) return out.fail(status.fault);
        out.json(status.value);
        for (const line of statusLines(status.value, cli.clock.wall())) out.line(line);
        return 0;
      }),
    );

  const addSwitch = (name: 'lock' | 'unlock', description: string, done: string): void => {
    program
      .command(name)
      .description(description)
      .option('--json', 'print JSON')
      .option('--socket <path>', `the daemon's control socket (default ${DEFAULT_SOCKET})`)
      .action(
        cli.action(async (options: LocalOptions) => {
          const out = cli.output(options);
          const answer = await callDaemon(socketOf(options), 'POST', `/v1/${name}`);
          if (!answer.ok) return out.fail(answer.fault);
          out.json(answer.value);
          out.line(done);
          return 0;
        }),
      );
  };
  addSwitch('lock', 'close every endpoint of this device until it is unlocked', 'locked');
  addSwitch('unlock', 'let this device open its endpoints again', 'unlocked');
};
