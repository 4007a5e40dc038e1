/** Checks dial upstreams exactly as the relay does: the same addresses refused, the same certificates trusted. */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import { fault } from '../core/errors.ts';
import type { DialUpstream } from '../health/upstream-check.ts';
import { CONNECT_DEADLINE_MS, dialUpstream } from '../tunnel/relay/dial.ts';

export const dialForCheck =
  (clock: Clock): DialUpstream =>
  async (target, signal) => {
    const caFile = target.tls?.caFile ?? '';
    try {
      const secureContext =
        target.tls === undefined
          ? {}
          : { secureContext: createSecureContext(caFile === '' ? {} : { ca: await readFile(caFile) }) };
      return await dialUpstream(target, {
        clock,
        deadlineMs: CONNECT_DEADLINE_MS,
        isHttp: false,
        signal,
        ...secureContext,
      });
    } catch {
      return {
        ok: false,
        fault: fault(
          'UPSTREAM_TLS',
          `The caFile of upstream ${target.ref} cannot be read or holds no certificate.`,
          true,
        ),
      };
    }
  };
