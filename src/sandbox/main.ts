/** The sandbox as a program: starts everything, tells where it is, runs until SIGINT or SIGTERM. */
import { CommanderError } from 'commander';
import { EXIT } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { writeDeviceFiles } from './device-files.ts';
import { type CommandLine, readCommandLine } from './options.ts';
import { type Sandbox, startSandbox } from './sandbox.ts';

const readable = ({ line }: Sandbox, configFile: string): string =>
  [
    'The sandbox is up. Everything is on loopback and gone when it ends.',
    '',
    `  agents connect to   ${line.edge.addr}   trusting ${line.caFile}`,
    `  visitors            ${line.edge.http}   ${line.edge.https}   Host: any name under ${line.domain}`,
    `  ngrok API           ${line.api.url}   key ${line.api.key}`,
    `  MQTT                ${line.broker.url}${line.broker.wsUrl === undefined ? '' : `   ${line.broker.wsUrl}`}`,
    `  control             ${line.control.url}   POST /faults, GET /state`,
    ...Object.entries(line.authtokens).map(([name, secret]) => `  authtoken ${name.padEnd(9)} ${secret}`),
    '',
    'A daemon in it:',
    '',
    `  npm run -s lockkeeperd -- --config ${configFile}`,
    '',
    'Its endpoint "web" forwards to http://127.0.0.1:8080 and is off until it is asked for. Once it is on:',
    '',
    `  curl -H 'Host: device-1.${line.domain}' ${line.edge.http}/`,
    '',
  ].join('\n');

/** Resolves at the first SIGINT or SIGTERM; a second one then ends the process at once. */
const asked = (): Promise<void> =>
  new Promise((resolve) => {
    const onSignal = (): void => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
      resolve();
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });

const parse = (): CommandLine | number => {
  try {
    return readCommandLine(process.argv.slice(2), VERSION);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
};

const run = async ({ json, options }: CommandLine): Promise<number> => {
  // From here on, since a signal may come before everything listens.
  const end = asked();
  let sandbox: Sandbox;
  let configFile: string;
  try {
    sandbox = await startSandbox(options);
    configFile = await writeDeviceFiles(sandbox.dir, sandbox.line);
  } catch (error) {
    process.stderr.write(`sandbox: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.failed;
  }
  // Whoever reads the line may close its end of the pipe afterwards.
  process.stdout.on('error', () => undefined);
  process.stdout.write(json ? `${JSON.stringify(sandbox.line)}\n` : readable(sandbox, configFile));
  await end;
  await sandbox.close();
  for (const bug of sandbox.bugs) {
    process.stderr.write(
      `sandbox: bug: ${bug instanceof Error ? (bug.stack ?? bug.message) : String(bug)}\n`,
    );
  }
  return sandbox.bugs.length === 0 ? EXIT.ok : EXIT.internal;
};

const commandLine = parse();
process.exitCode = typeof commandLine === 'number' ? commandLine : await run(commandLine);
