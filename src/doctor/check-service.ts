/** What the service manager says of the daemon, where there is one. */
import { execFile } from 'node:child_process';
import { type Finding, fine, found, skipped } from './finding.ts';

const CHECK = 'service';
const UNIT = 'lockkeeper.service';
const PROPERTIES = ['LoadState', 'ActiveState', 'SubState', 'UnitFileState', 'NRestarts', 'Result'] as const;
const ASK_DEADLINE_MS = 5000;
/** So many starts by the service manager alone are no coincidence any more. */
const MANY_RESTARTS = 3;

export type ServiceFacts = Readonly<Partial<Record<(typeof PROPERTIES)[number], string>>>;

/** Pure. `facts` as `systemctl show` prints them; null where no service manager answers. */
export const judgeService = (facts: ServiceFacts | null): Finding => {
  if (facts === null) return skipped(CHECK, 'not looked at: no systemd answers here');
  const { LoadState, ActiveState, SubState, UnitFileState, NRestarts = '0', Result } = facts;
  if (LoadState !== 'loaded') return skipped(CHECK, `not looked at: systemd has no unit ${UNIT}`);
  if (ActiveState === 'failed')
    return found(
      CHECK,
      'error',
      'SERVICE_FAILED',
      `${UNIT} has failed (${Result}) and is not started again.`,
      `journalctl -u lockkeeper says why; then systemctl reset-failed lockkeeper && systemctl start lockkeeper.`,
    );
  if (ActiveState === 'inactive' || ActiveState === 'deactivating')
    return found(
      CHECK,
      'error',
      'SERVICE_STOPPED',
      `${UNIT} does not run (${ActiveState}, ${SubState}).`,
      'systemctl start lockkeeper.',
    );
  if (UnitFileState === 'disabled')
    return found(
      CHECK,
      'warning',
      'SERVICE_DISABLED',
      `${UNIT} runs, and will not after the next boot.`,
      'systemctl enable lockkeeper.',
    );
  if (Number(NRestarts) >= MANY_RESTARTS)
    return found(
      CHECK,
      'warning',
      'SERVICE_RESTARTS',
      `${UNIT} was started again ${NRestarts} times by itself.`,
      'journalctl -u lockkeeper says what ended it.',
    );
  return fine(CHECK, `${UNIT} is ${ActiveState} (${SubState}), started again ${NRestarts} times`);
};

export const readService = (env: NodeJS.ProcessEnv): Promise<ServiceFacts | null> =>
  new Promise((resolve) => {
    const args = ['show', UNIT, `--property=${PROPERTIES.join(',')}`];
    // Nothing but the path: what the caller's environment holds is no business of another program.
    const options = { timeout: ASK_DEADLINE_MS, env: { PATH: env['PATH'] } };
    execFile('systemctl', args, options, (error, stdout) => {
      if (error !== null) return resolve(null);
      const facts = stdout.split('\n').flatMap((line) => {
        const at = line.indexOf('=');
        return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
      });
      resolve(Object.fromEntries(facts));
    });
  });

export const checkService = async (env: NodeJS.ProcessEnv): Promise<Finding> =>
  judgeService(await readService(env));
