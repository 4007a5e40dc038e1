/** `console`: the fleet in a browser, served on loopback by this program, which alone holds link and keys. */
import type { Command } from 'commander';
import { sleep } from '../../core/clock.ts';
import { EXIT } from '../../core/errors.ts';
import { createConsolePorts } from '../console/console.ts';
import { startConsole } from '../console/console-server.ts';
import { createConsoleDoor, newConsoleToken } from '../console/door.ts';
import { openDeviceBook } from '../device-book.ts';
import { factsOf, readApiLists } from '../watch/facts.ts';
import { openFleetView } from '../watch/fleet-view.ts';
import { createTracker } from '../watch/tracker.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import { apiIfAny, MQTT_ONLY, type ThresholdOptions, thresholdsOf } from './fleet-desk.ts';
import {
  countOption,
  durationOption,
  type FleetOptions,
  profileOf,
  signerOf,
  withFleetLink,
  withFleetOptions,
} from './fleet-options.ts';
import { withThresholds } from './fleet-status-command.ts';
import { stopOnSignal } from './stop-signal.ts';

interface ConsoleCliOptions extends FleetOptions, ApiOptions, ThresholdOptions {
  readonly port: number;
  readonly poll: number;
}

const CONNECT_S = 60;
const POLL_S = 30;
const SWEEP_MS = 5000;
const FOR_EVER_MS = 3_600_000;

export const addConsoleCommand = (program: Command, cli: Cli): void => {
  withThresholds(
    withApiOptions(
      withFleetOptions(
        program.command('console').description('the fleet in a browser, on this machine only'),
      ),
    ),
  )
    .option('--port <n>', 'port on 127.0.0.1 (default a free one)', countOption, 0)
    .option('--offline-after <duration>', 'a device may be back so soon (default 30s)', durationOption)
    .option('--poll <duration>', "how often to ask ngrok's API", durationOption, POLL_S)
    .action(
      cli.action(async (options: ConsoleCliOptions) => {
        const out = cli.output(options);
        const profile = await profileOf(cli, options);
        if (!profile.ok) return out.fail(profile.fault);
        const api = await apiIfAny(cli, out, profile.value, options);
        if (!api.ok) return out.fail(api.fault);
        const signer = await signerOf(profile.value);
        if (!signer.ok) out.note(`endpoints can be looked at only: ${signer.fault.message}`);
        const stopping = stopOnSignal(() => undefined);
        try {
          return await withFleetLink(profile.value, out, CONNECT_S, async (link) => {
            const lists = api.value === null ? null : await readApiLists(api.value);
            if (lists?.ok === false) return out.fail(lists.fault);
            const facts = lists === null ? null : factsOf(link.tenant, lists.value);
            if (facts === null) out.note(MQTT_ONLY);
            const view = await openFleetView(link, cli.clock, {
              isLive: true,
              known: facts?.devices.keys() ?? [],
            });
            const tracker = createTracker({
              link,
              view,
              clock: cli.clock,
              thresholds: thresholdsOf(options),
              api: api.value,
              facts,
              pollMs: options.poll * 1000,
              sweepMs: SWEEP_MS,
              onFault: (f) => out.note(`${f.code}: ${f.message}`),
            });
            const token = newConsoleToken();
            const server = await startConsole(
              options.port,
              createConsolePorts({
                link,
                tracker,
                door: createConsoleDoor(token, cli.clock),
                clock: cli.clock,
                book: openDeviceBook(profile.value.devicesDir),
                signer,
                hasApi: api.value !== null,
              }),
            );
            if (!server.ok) return out.fail(server.fault);
            out.json({ v: 1, url: server.value.url, token });
            out.line(`console at ${server.value.url}`);
            out.line(`token      ${token}`);
            while (!stopping.signal.aborted)
              await sleep(cli.clock, FOR_EVER_MS, stopping.signal).catch(() => undefined);
            await server.value.close();
            tracker.close();
            view.close();
            return EXIT.ok;
          });
        } finally {
          stopping.dispose();
        }
      }),
    );
};
