/** The operator's command line as one commander program. */
import { Command } from 'commander';
import { EXIT } from '../../core/errors.ts';
import { VERSION } from '../../core/version.ts';
import type { Cli } from './cli.ts';
import { addDesiredCommands } from './desired-commands.ts';
import { addDeviceCommands } from './device-commands.ts';
import { addDoctorCommand } from './doctor-command.ts';
import { addEnrollCommand } from './enroll-command.ts';
import { addFleetCommands } from './fleet-commands.ts';
import { addInstallCommand } from './install-command.ts';
import { addKeysCommands } from './keys-commands.ts';
import { addLocalCommands } from './local-commands.ts';
import { addRevokeCommand } from './revoke-command.ts';
import { addRotateCommand } from './rotate-command.ts';
import { addSendCommand } from './send-command-line.ts';
import { addSignCommand } from './sign-command.ts';
import { addSiteCommands } from './site-commands.ts';

/** Throws commander's `CommanderError` instead of exiting; `exitCodeOfCommander` reads it. */
export const createProgram = (cli: Cli): Command => {
  const program = new Command('lockkeeper')
    .description('Looks at the device it runs on, and commands devices over MQTT')
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.stdout.write(text),
      writeErr: (text) => cli.stderr.write(text),
    })
    .showHelpAfterError('(lockkeeper --help)');
  addLocalCommands(program, cli);
  addDoctorCommand(program, cli);
  addSendCommand(program, cli);
  addDesiredCommands(program, cli);
  addDeviceCommands(program, cli);
  addSignCommand(program, cli);
  addKeysCommands(program, cli);
  addSiteCommands(program, cli);
  addEnrollCommand(program, cli);
  addInstallCommand(program, cli);
  addRotateCommand(program, cli);
  addRevokeCommand(program, cli);
  addFleetCommands(program, cli);
  return program;
};

const NO_ERROR = ['commander.helpDisplayed', 'commander.version'];

/** Help and version that were asked for are 0, everything else is a usage error. */
export const exitCodeOfCommander = (error: { readonly code: string }): number =>
  NO_ERROR.includes(error.code) ? EXIT.ok : EXIT.usage;
