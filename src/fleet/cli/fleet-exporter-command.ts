/** `fleet exporter`: the fleet's figures for Prometheus, by as many processes as are wanted. */
import { type Command, InvalidArgumentError } from 'commander';
import { sleep } from '../../core/clock.ts';
import { EXIT } from '../../core/errors.ts';
import { startExporter } from '../exporter/exporter.ts';
import { parseListen, serveMetrics } from '../exporter/serve.ts';
import type { Cli } from './cli.ts';
import { type FleetOptions, profileOf, withFleetLink } from './fleet-options.ts';
import { stopOnSignal } from './stop-signal.ts';

interface ExporterCliOptions extends FleetOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly group: string | null;
}

const CONNECT_S = 60;
const FOR_EVER_MS = 3_600_000;
const DEFAULT_GROUP = 'lockkeeper-exporter';

const listenOption = (text: string) => {
  const listen = parseListen(text);
  if (listen === undefined) throw new InvalidArgumentError('It is HOST:PORT.');
  return listen;
};

const groupOption = (text: string): string | null => {
  if (text === '') return null;
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) throw new InvalidArgumentError('It is letters, digits, - and _.');
  return text;
};

export const addFleetExporterCommand = (fleet: Command, cli: Cli): void => {
  fleet
    .command('exporter')
    .description("the fleet's figures for Prometheus; exporters of one group share the work")
    .option('--listen <host:port>', 'where to serve /metrics', listenOption, {
      host: '127.0.0.1',
      port: 9469,
    })
    .option(
      '--group <name>',
      'name of the shared subscription; empty takes every message, for brokers that cannot share',
      groupOption,
      DEFAULT_GROUP,
    )
    .option('--profile <file>', 'profile')
    .option('--broker <url>', "the broker, instead of the profile's")
    .option('--tenant <name>', "the tenant, instead of the profile's")
    .action(
      cli.action(async (options: ExporterCliOptions) => {
        const out = cli.output(options);
        const profile = await profileOf(cli, options);
        if (!profile.ok) return out.fail(profile.fault);
        const stopping = stopOnSignal(() => undefined);
        try {
          return await withFleetLink(profile.value, out, CONNECT_S, async (link) => {
            const exporter = await startExporter({ link, clock: cli.clock, group: options.group });
            const server = await serveMetrics(options.listen, exporter.scrape);
            if (!server.ok) return out.fail(server.fault);
            out.line(`metrics at ${server.value.url}`);
            while (!stopping.signal.aborted)
              await sleep(cli.clock, FOR_EVER_MS, stopping.signal).catch(() => undefined);
            exporter.close();
            await server.value.close();
            return EXIT.ok;
          });
        } finally {
          stopping.dispose();
        }
      }),
    );
};
