/** The operator's own record of what was done to credentials: one JSON line each, appended, never rewritten. */
import { chmod, mkdir, open } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { dirname } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { failed, fault, LockkeeperError, ok, type Result } from '../core/errors.ts';
import type { ApiFault } from './api/index.ts';

/** What happened. No entry ever holds a token or a key. */
export interface AuditEntry {
  readonly what:
    | 'mint'
    | 'mint.failed'
    | 'deliver'
    | 'deliver.failed'
    | 'proof'
    | 'delete'
    | 'delete.failed'
    | 'session.stop'
    | 'session.stop.failed'
    | 'user.create'
    | 'user.delete'
    | 'user.disable'
    | 'domain.create'
    | 'domain.update'
    | 'domain.delete'
    | 'address.create'
    | 'address.update'
    | 'address.delete'
    | 'endpoint.create'
    | 'endpoint.update'
    | 'endpoint.delete'
    | 'credential.update'
    | 'pin'
    | 'bundle';
  readonly device?: string;
  readonly site?: string;
  /** ngrok's id of the object concerned. */
  readonly id?: string;
  readonly gen?: number;
  readonly rotation?: string;
  /** Id of the command that carried it. */
  readonly command?: string;
  readonly code?: string;
  readonly ngrokCode?: string;
  /** ngrok's id of the operation, where an answer gave one. */
  readonly operation?: string;
  readonly acl?: readonly string[];
  readonly owner?: string;
}

export interface AuditLog {
  /** Resolves when the line is on disk. Rejects with `STORE_FAILED`: what cannot be recorded is not done. */
  write(entry: AuditEntry): Promise<void>;
}

/** The part of an entry that a fault of the API fills. */
export const auditFault = (
  f: Pick<ApiFault, 'code' | 'ngrokCode' | 'operationId'>,
): Pick<AuditEntry, 'code' | 'ngrokCode' | 'operation'> => ({
  code: f.code,
  ...(f.ngrokCode === undefined ? {} : { ngrokCode: f.ngrokCode }),
  ...(f.operationId === null ? {} : { operation: f.operationId }),
});

const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? '');
  }
};

const appendLine = async (path: string, line: string): Promise<void> => {
  // Opened for each line: a log that was moved away meanwhile goes on in a new file.
  const handle = await open(path, 'a', 0o600);
  try {
    await handle.appendFile(line);
    await handle.datasync();
  } finally {
    await handle.close();
  }
};

/**
 * Opens the log at `path`, made 0600 when it is not there; `run` marks the lines of one command. `STORE_FAILED` when it
 * cannot be written: better known before anything is done.
 */
export const openAuditLog = async (
  path: string,
  clock: Pick<Clock, 'wall'>,
  run: string,
): Promise<Result<AuditLog>> => {
  const who = { run, user: userName(), host: hostname() };
  const lost = (error: unknown) =>
    fault(
      'STORE_FAILED',
      `The audit log ${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`,
      false,
    );
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await appendLine(path, '');
    await chmod(path, 0o600);
  } catch (error) {
    return failed(lost(error));
  }
  return ok({
    async write(entry) {
      const line = { v: 1, ts: new Date(clock.wall()).toISOString(), ...who, ...entry };
      try {
        await appendLine(path, `${JSON.stringify(line)}\n`);
      } catch (error) {
        throw new LockkeeperError(lost(error));
      }
    },
  });
};
