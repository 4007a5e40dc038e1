/**
 * `npm run demo`: the whole thing on one machine, with no account and no internet. Sandbox, upstream and operator live
 * in this process, the device is the real daemon as a child. Ends by itself; with `--keep` on SIGINT or SIGTERM.
 */
import { parseArgs } from 'node:util';
import { ignoreProxies } from '../config/proxy-variables.ts';
import { EXIT } from '../core/errors.ts';
import { createNarrator } from './narrator.ts';
import { type Backstage, createBackstage, DEVICE, type Stage, setStage } from './stage.ts';
import { endDevice, runTour, type TourFigures } from './tour.ts';

/** The tour takes about twenty seconds; a machine that needs this long has a fault to be told about. */
const TOUR_MS = 55_000;
/** Everything is closed by then; if a handle is left, the process ends all the same. */
const LINGER_MS = 2000;

const HELP = `npm run demo            the tour; ends by itself
npm run demo -- --keep  the same, left running until Ctrl-C, to play with
`;

const narrator = createNarrator((text) => process.stdout.write(text));

const isRefused = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');

const readOptions = (): { keep: boolean; help: boolean } | null => {
  try {
    const { values } = parseArgs({ options: { keep: { type: 'boolean' }, help: { type: 'boolean' } } });
    return { keep: values.keep === true, help: values.help === true };
  } catch (error) {
    if (!isRefused(error)) throw error;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${HELP}`);
    return null;
  }
};

/** Where to go from here, for people. */
const addresses = (stage: Stage): string => {
  const { edge, broker, control } = stage.sandbox.line;
  const lockkeeper = 'npm run -s lockkeeper --';
  return [
    '',
    `  public URL   https://${stage.publicHost}`,
    `               curl --noproxy '*' -H 'Host: ${stage.publicHost}' ${edge.http}/`,
    `  MQTT         ${broker.url}`,
    `  socket       ${stage.socket}`,
    `  config       ${stage.configFile}`,
    `  faults       ${control.url}/faults   (POST, see docs)`,
    '',
    `  ${lockkeeper} status --socket ${stage.socket}`,
    `  ${lockkeeper} send ${DEVICE} stop web --profile ${stage.profileFile}`,
    `  curl --noproxy '*' -d '{"op":"drop","how":"rst"}' ${control.url}/faults`,
    '',
  ].join('\n');
};

/** Resolves at the first SIGINT or SIGTERM. npm passes on what a terminal has sent already, so more of them change nothing. */
const asked = new Promise<'asked'>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve('asked'));
});

/** A bug, here or in the sandbox: told like any other failure, after everything is closed. */
const unexpected = new Promise<never>((_, reject) => {
  process.on('uncaughtException', reject);
});
unexpected.catch(() => undefined);

const tooLong = (): { expired: Promise<never>; cancel: () => void } => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${TOUR_MS / 1000} s`)), TOUR_MS);
  });
  return { expired, cancel: () => clearTimeout(timer) };
};

const keepRunning = async (stage: Stage): Promise<void> => {
  const started = await stage.operator.send('start', { ep: 'web' });
  if (started.status !== 'succeeded') throw new Error(`start: ${started.msg ?? started.status}`);
  narrator.say(addresses(stage));
};

const play = async (backstage: Backstage, keep: boolean, seen: { stage?: Stage }): Promise<TourFigures> => {
  const stage = await setStage(narrator, backstage);
  seen.stage = stage;
  const figures = await Promise.race([runTour(narrator, stage), stage.device.crashed]);
  if (keep) await keepRunning(stage);
  else await endDevice(narrator, stage);
  const [bug] = stage.sandbox.bugs;
  if (bug !== undefined) throw new Error(`the sandbox met an unexpected error: ${String(bug)}`);
  return figures;
};

const fail = (error: unknown, stage: Stage | undefined): number => {
  for (const line of stage?.device.log() ?? []) process.stderr.write(`  lockkeeperd: ${line}\n`);
  narrator.say(`demo: failed: ${error instanceof Error ? error.message : String(error)}`);
  return EXIT.failed;
};

const run = async (keep: boolean): Promise<number> => {
  const startedAt = performance.now();
  const backstage = createBackstage();
  process.on('exit', backstage.killNow);
  const { expired, cancel } = tooLong();
  const seen: { stage?: Stage } = {};
  const playing = play(backstage, keep, seen);
  playing.catch(() => undefined);
  try {
    const end = await Promise.race([playing, asked, expired, unexpected]);
    cancel();
    if (end === 'asked') {
      if (!keep) narrator.say('demo: failed: interrupted');
      return keep ? EXIT.ok : EXIT.failed;
    }
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const passed = `demo: passed in ${seconds} s; ${end.served} requests during swaps, ${end.lost} dropped`;
    if (keep) {
      narrator.say(`${passed}; running until Ctrl-C`);
      await Promise.race([
        asked,
        unexpected,
        ...(seen.stage === undefined ? [] : [seen.stage.device.crashed]),
      ]);
    } else {
      await backstage.close();
      narrator.say(passed);
    }
    return EXIT.ok;
  } catch (error) {
    return fail(error, seen.stage);
  } finally {
    cancel();
    await backstage.close();
  }
};

const options = readOptions();
if (options === null) process.exitCode = EXIT.usage;
else if (options.help) process.stdout.write(HELP);
else {
  // Whoever reads along may stop reading.
  process.stdout.on('error', () => undefined);
  ignoreProxies(process.env);
  narrator.say('Lockkeeper: a device, its operator, an agent edge and a broker, all on this machine\n');
  process.exitCode = await run(options.keep);
  setTimeout(() => process.exit(), LINGER_MS).unref();
}
