/** Real brokers for tests, each with the settings of docs/brokers.md: one operator, and devices with passwords of their own. */
import { rm } from 'node:fs/promises';
import type { Running } from './spawn-node.ts';
import { makeTempDir } from './temp-dir.ts';
import { createTestCa, place } from './test-ca.ts';

/** Ids of the devices that every broker knows; the documentation's device is the first. */
export const DEVICES: readonly string[] = Array.from({ length: 16 }, (_, i) => `press-${i + 7}`);
export const OPERATOR = 'operator';
/** Everybody's at these brokers. */
export const PASSWORD = 'the right one';

/** A listener whose certificate is by an authority of the test's own. */
export interface BrokerTls {
  readonly port: number;
  readonly caFile: string;
}

/** Files for such a listener on the loopback address. */
export const placeServerCertificate = async (
  dir: string,
): Promise<{ readonly caFile: string; readonly certFile: string; readonly keyFile: string }> => {
  const ca = await createTestCa();
  const { cert, key } = await ca.issue({ cn: 'broker', ip: ['127.0.0.1'] });
  return {
    caFile: await place(dir, 'ca.pem', ca.cert),
    certFile: await place(dir, 'server.pem', cert),
    keyFile: await place(dir, 'server.key', key),
  };
};

/** A broker process, or several that are one broker. */
export interface BrokerRun {
  readonly port: number;
  /** Its listener with TLS; null where another test has that. */
  readonly tls: BrokerTls | null;
  /** Starts it, the first time or again, with what it stored; resolves once clients are taken. */
  start(): Promise<void>;
  /** Ends it as a power cut would. */
  crash(): Promise<void>;
  /** What it told about itself since it was started last. */
  log(): string;
  /** Ends all that was started for it. */
  end(): Promise<void>;
}

/** One program that is ended and started again. */
export interface Restartable {
  start(): Promise<void>;
  /** Resolves when it has ended. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** The same without a chance to tidy up. */
  crash(): Promise<void>;
  /** Both streams of the run that was started last. */
  stdout(): string;
  stderr(): string;
}

/** `isReady` resolves once the program takes clients, and rejects when it will not. */
export const restartable = (
  spawn: () => Running,
  isReady: (started: Running) => Promise<unknown>,
): Restartable => {
  let running: Running | undefined;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    running?.kill(signal);
    await running?.exit;
  };
  return {
    start: async () => {
      running = spawn();
      await isReady(running);
    },
    stop,
    crash: () => stop('SIGKILL'),
    stdout: () => running?.stdout() ?? '',
    stderr: () => running?.stderr() ?? '',
  };
};

/** `dir` is empty, short and goes away with the broker. */
export type BrokerMaker = (dir: string) => Promise<BrokerRun>;

export interface BrokerRig extends BrokerRun {
  /** With the operator's name and password in it. */
  readonly operatorUrl: string;
  readonly url: string;
}

/** Starts a broker outside of any single test; `end` it in `afterAll`. */
export const startRig = async (make: BrokerMaker): Promise<BrokerRig> => {
  const dir = await makeTempDir('lk-br-');
  const run = await make(dir);
  await run.start();
  return {
    ...run,
    url: `mqtt://127.0.0.1:${run.port}`,
    operatorUrl: `mqtt://${OPERATOR}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${run.port}`,
    end: async () => {
      await run.end();
      await rm(dir, { recursive: true, force: true });
    },
  };
};
