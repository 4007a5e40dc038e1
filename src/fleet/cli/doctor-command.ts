/** `doctor`: what stands between this device and its work, and what to do about each thing. */
import type { Command } from 'commander';
import { lendServiceCredentials } from '../../config/service-credentials.ts';
import { EXIT } from '../../core/errors.ts';
import { examine } from '../../doctor/doctor.ts';
import { type Finding, hasErrors } from '../../doctor/finding.ts';
import type { Cli } from './cli.ts';
import { callDaemon } from './control-client.ts';

const DEFAULT_CONFIG = '/etc/lockkeeper/config.json';

interface DoctorCommandOptions {
  readonly json?: boolean;
  readonly config: string;
  readonly socket?: string;
}

const MARKS = { ok: 'ok', warning: 'warn', error: 'FAIL', skipped: '-' } as const;
const COLOURS = { ok: 32, warning: 33, error: 31, skipped: 90 } as const;
const MARK_WIDTH = 5;

const linesOf = (
  { check, severity, code, message, advice }: Finding,
  width: number,
  isColoured: boolean,
): readonly string[] => {
  const mark = MARKS[severity].padEnd(MARK_WIDTH);
  const shown = isColoured ? `\u001b[${COLOURS[severity]}m${mark}\u001b[0m` : mark;
  const head = `${shown}${check.padEnd(width)}  ${severity === 'ok' || severity === 'skipped' ? '' : `${code}: `}${message}`;
  return advice === '' ? [head] : [head, `${' '.repeat(MARK_WIDTH + width + 2)}-> ${advice}`];
};

export const addDoctorCommand = (program: Command, cli: Cli): void => {
  program
    .command('doctor')
    .description('look for everything that keeps this device from its work, and say what to do')
    .option('--config <file>', 'configuration of the daemon', DEFAULT_CONFIG)
    .option('--socket <path>', "the daemon's control socket, instead of the configuration's")
    .option('--json', 'print JSON')
    .action(
      cli.action(async (options: DoctorCommandOptions) => {
        const out = cli.output(options);
        lendServiceCredentials(cli.env);
        const findings = await examine({
          configFile: options.config,
          clock: cli.clock,
          env: cli.env,
          askDaemon: (socket) => callDaemon(options.socket ?? socket, 'GET', '/v1/status'),
        });
        const isBad = hasErrors(findings);
        out.json({ v: 1, ok: !isBad, findings });
        const width = Math.max(...findings.map(({ check }) => check.length));
        const isColoured = cli.stdout.isTTY === true && (cli.env['NO_COLOR'] ?? '') === '';
        for (const finding of findings)
          for (const line of linesOf(finding, width, isColoured)) out.line(line);
        return isBad ? EXIT.failed : EXIT.ok;
      }),
    );
};
