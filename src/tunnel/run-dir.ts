import { createHash } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Fault, fault } from '../core/errors.ts';
import type { TunnelId } from '../core/tunnel-event.ts';

/** A unix socket's path must fit in `sun_path` with a zero at its end. */
const MAX_SOCKET_PATH_BYTES = 107;
/** `/t9999999.99999.` + 16 + `.relay` is the longest name we make. */
const LONGEST_NAME_BYTES = 38;

/** The socket on which a new supervisor takes a process over. */
export const doorPath = (runDir: string, tunnel: TunnelId): string => join(runDir, `${tunnel}.sock`);
export const pidPath = (runDir: string, tunnel: TunnelId): string => join(runDir, `${tunnel}.pid`);
/** Where the standard error of a process goes, so that its last words outlive the supervisor. */
export const errPath = (runDir: string, tunnel: TunnelId): string => join(runDir, `${tunnel}.err`);

/** The relay's socket for one bind: named by endpoint where the name is short, and by number, since a name can be bound again while its last bind drains. */
export const relayPath = (runDir: string, tunnel: TunnelId, serial: number, endpoint: string): string => {
  const name = /^[\w-]{1,16}$/.test(endpoint)
    ? endpoint
    : createHash('sha256').update(endpoint).digest('hex').slice(0, 16);
  return join(runDir, `${tunnel}.${serial}.${name}.relay`);
};

/** Makes the folder (0700) and checks that socket paths fit; a fault says what to change. */
export const checkRunDir = async (dir: string): Promise<Fault | null> => {
  const bytes = Buffer.byteLength(dir) + LONGEST_NAME_BYTES;
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    return fault(
      'CONFIG_INVALID',
      `The folder ${dir} is too long for unix sockets: at most ${MAX_SOCKET_PATH_BYTES - LONGEST_NAME_BYTES} bytes, choose a shorter one.`,
      false,
    );
  }
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await chmod(dir, 0o700);
    return null;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return fault('STORE_FAILED', `The folder ${dir} cannot be used for sockets (${code}).`, false);
  }
};
