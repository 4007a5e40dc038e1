/** The commands that look at the whole fleet, and what stands in front of it. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { addConsoleCommand } from './console-command.ts';
import { addEventsCommand } from './events-command.ts';
import { addFleetExporterCommand } from './fleet-exporter-command.ts';
import { addFleetStatusCommand } from './fleet-status-command.ts';
import { addFleetWatchCommand } from './fleet-watch-command.ts';
import { addPolicyCommands } from './policy-commands.ts';

export const addFleetCommands = (program: Command, cli: Cli): void => {
  const fleet = program.command('fleet').description('look at all devices');
  addFleetStatusCommand(fleet, cli);
  addFleetWatchCommand(fleet, cli);
  addFleetExporterCommand(fleet, cli);
  addPolicyCommands(program, cli);
  addEventsCommand(program, cli);
  addConsoleCommand(program, cli);
};
