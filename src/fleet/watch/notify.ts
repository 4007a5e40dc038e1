/** Takes alerts to a program or a web hook: one call for all that are due at a time, however many devices fail. */
import { spawn } from 'node:child_process';
import { type Clock, sleep } from '../../core/clock.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import type { Alert } from './alerts.ts';

export interface AlertBatch {
  readonly tenant: string;
  readonly atMs: number;
  readonly alerts: readonly Alert[];
}

/** Delivers; a fault says what became of it. Never rejects. */
export type Notify = (batch: AlertBatch) => Promise<Result<void>>;

const PATIENCE_MS = 30_000;
const HOOK_TRIES = 3;
const HOOK_TIMEOUT_MS = 10_000;
const HOOK_RETRY_MS = 1000;

/** What a program of the operator may see of our environment: no key, no token. */
const PASSED = [
  'PATH',
  'HOME',
  'USER',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
];

/** The JSON that a program or hook gets. */
export const batchText = ({ tenant, atMs, alerts }: AlertBatch): string =>
  JSON.stringify({ v: 1, at: new Date(atMs).toISOString(), tenant, alerts });

const childEnv = (env: NodeJS.ProcessEnv, batch: AlertBatch): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(PASSED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
  LOCKKEEPER_ALERTS: String(batch.alerts.length),
});

/** Runs a shell command with the alerts as JSON on its standard input: nothing of a device's is ever part of the command. */
export const execNotifier =
  (command: string, env: NodeJS.ProcessEnv, clock: Clock): Notify =>
  (batch) =>
    new Promise((resolve) => {
      const child = spawn('/bin/sh', ['-c', command], {
        env: childEnv(env, batch),
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      const cancel = clock.after(PATIENCE_MS, () => child.kill('SIGKILL'));
      const finish = (why: string | null): void => {
        cancel();
        resolve(why === null ? ok(undefined) : failed(fault('INTERNAL', `The alert program ${why}.`, true)));
      };
      child.once('error', () => finish('could not be started'));
      child.once('close', (code, signal) =>
        finish(code === 0 ? null : `ended with ${code === null ? String(signal) : `exit code ${code}`}`),
      );
      // A program that does not read its input is not at fault.
      child.stdin.on('error', () => undefined);
      child.stdin.end(batchText(batch));
    });

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The hook's URL; `BAD_ARGS` when it would send the state of a fleet in clear text over a network. */
export const parseHookUrl = (text: string): Result<URL> => {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null &&
    (url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.has(url.hostname)))
    ? ok(url)
    : failed(fault('BAD_ARGS', 'The web hook must be an https URL; plain http is for loopback only.', false));
};

/** Posts the alerts as JSON, up to three times. The URL is never shown: it may be a secret. */
export const hookNotifier =
  (url: URL, clock: Clock): Notify =>
  async (batch) => {
    let why = '';
    for (let tries = 1; tries <= HOOK_TRIES; tries += 1) {
      try {
        const answer = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: batchText(batch),
          redirect: 'manual',
          signal: AbortSignal.timeout(HOOK_TIMEOUT_MS),
        });
        await answer.body?.cancel();
        if (answer.ok) return ok(undefined);
        why = `answered ${answer.status}`;
        if (answer.status < 500 && answer.status !== 429) break;
      } catch {
        why = 'cannot be reached';
      }
      if (tries < HOOK_TRIES) await sleep(clock, HOOK_RETRY_MS * tries);
    }
    return failed(fault('INTERNAL', `The web hook ${why}.`, true));
  };
