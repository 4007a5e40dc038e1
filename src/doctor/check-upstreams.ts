/** Every named upstream dialled once, as the relay would. */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Config } from '../config/config.ts';
import { resolveUpstream } from '../config/resolve-upstream.ts';
import type { Clock } from '../core/clock.ts';
import { dialUpstream } from '../tunnel/relay/dial.ts';
import { type Finding, fine, found } from './finding.ts';

const DEADLINE_MS = 5000;

const ADVICE: Readonly<Record<string, string>> = {
  UPSTREAM_TLS: 'Give the upstream its caFile and serverName, or verify: false where that is acceptable.',
  UPSTREAM_DENIED: 'Change the upstream: this address is never dialled.',
};

const checkOne = async (config: Config, clock: Clock, name: string): Promise<Finding> => {
  const check = `upstream ${name}`;
  const resolved = resolveUpstream(config, name);
  const broken = (code: string, message: string): Finding =>
    found(
      check,
      'error',
      code,
      message,
      ADVICE[code] ?? 'Start the application there, or mend its address in upstreams.',
    );
  if (!resolved.ok) return broken(resolved.fault.code, resolved.fault.message);
  const { tls } = resolved.value;
  try {
    const ca = tls?.caFile ? { ca: await readFile(tls.caFile) } : {};
    const dialled = await dialUpstream(resolved.value, {
      clock,
      deadlineMs: DEADLINE_MS,
      isHttp: false,
      signal: AbortSignal.timeout(DEADLINE_MS),
      ...(tls === undefined ? {} : { secureContext: createSecureContext(ca) }),
    });
    if (!dialled.ok) return broken(dialled.fault.code, dialled.fault.message);
    dialled.socket.on('error', () => undefined).destroy();
    return fine(check, `${config.upstreams[name]?.url ?? name} answers`);
  } catch {
    return broken('UPSTREAM_TLS', `The caFile of upstream ${name} cannot be read or holds no certificate.`);
  }
};

export const checkUpstreams = (config: Config, clock: Clock): Promise<readonly Finding[]> =>
  Promise.all(Object.keys(config.upstreams).map((name) => checkOne(config, clock, name)));
