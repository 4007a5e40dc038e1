/** Name, port and certificate of something the device talks to. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../core/clock.ts';
import { type Finding, fine, found } from './finding.ts';
import { judgeHandshake } from './judge-tls.ts';
import { type Place, resolveName, tryHandshake, tryPort } from './reach.ts';

export interface PlaceCheck extends Place {
  readonly check: string;
  readonly isTls: boolean;
  /** Authorities to trust instead of the system's; empty for those. */
  readonly caFile: string;
  /** Look at the certificate without asking who signed it: the peer is known by a key that only its client has. */
  readonly trustsAnyone?: boolean;
}

/** The first thing in the way, or that nothing is. */
export const checkPlace = async (place: PlaceCheck, clock: Clock): Promise<Finding> => {
  const { check, host, port } = place;
  const { error: unknown } = await resolveName(host);
  if (unknown !== null)
    return found(
      check,
      'error',
      'DNS_FAILED',
      `The name ${host} cannot be looked up (${unknown}).`,
      'Check the resolver in /etc/resolv.conf and the network.',
    );
  const closed = await tryPort(place);
  if (closed !== null)
    return found(
      check,
      'error',
      'PORT_CLOSED',
      `${host} port ${port} takes no connection (${closed}).`,
      closed === 'ECONNREFUSED'
        ? 'Nothing listens there: check host, port and the service.'
        : 'Check route and firewall: this port must be open outbound.',
    );
  if (!place.isTls) return fine(check, `${host} port ${port} answers`);
  let ca: Buffer | null = null;
  try {
    if (place.caFile !== '') ca = await readFile(place.caFile);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return found(
      check,
      'error',
      'FILE_UNREADABLE',
      `The caFile ${place.caFile} cannot be read (${code}).`,
      'Mend path or mode.',
    );
  }
  const facts = await tryHandshake(place, ca);
  if (facts === null)
    return found(
      check,
      'error',
      'TLS_SILENT',
      `${host} port ${port} takes connections and does not answer a TLS handshake.`,
      'A firewall or proxy may accept the connection and drop the rest: let this host through.',
    );
  if (facts === 'other-protocol')
    return found(
      check,
      'error',
      'TLS_FAILED',
      `${host} port ${port} does not know the protocol ${place.alpn}.`,
      'Mend mqtt.alpn, or leave it out where the port is for MQTT alone.',
    );
  const isKnownOtherwise =
    place.trustsAnyone === true &&
    facts.error !== null &&
    facts.error !== 'CERT_NOT_YET_VALID' &&
    facts.error !== 'CERT_HAS_EXPIRED';
  return judgeHandshake(
    check,
    isKnownOtherwise ? { ...facts, error: null } : facts,
    ca !== null,
    clock.wall(),
  );
};
