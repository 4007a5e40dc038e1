/** Whether a site's domain can serve: the CNAMEs that somebody must set at the DNS, and ngrok's certificate. */
import { Resolver } from 'node:dns/promises';
import type { ReservedDomain } from '../api/index.ts';

/** A CNAME that the domain needs. */
export interface WantedCname {
  readonly name: string;
  readonly target: string;
}

/** `ok`; `missing`: no such record; `wrong`: it points elsewhere; `unknown`: the DNS did not answer. */
export interface CnameCheck extends WantedCname {
  readonly state: 'ok' | 'missing' | 'wrong' | 'unknown';
  /** What it points to instead, or the DNS's error. */
  readonly seen: string;
}

export interface CertificateCheck {
  /** `none`: nobody asked for one (ngrok's own domains need none). */
  readonly state: 'ready' | 'provisioning' | 'failed' | 'none';
  readonly detail: string;
}

/** Gives the targets of a name's CNAME; rejects with Node's DNS errors. */
export type CnameLookup = (name: string) => Promise<readonly string[]>;

const TIMEOUT_MS = 3000;

/** A lookup at the system's DNS servers, or at one (`127.0.0.1:5353`). */
export const createCnameLookup = (server: string | undefined): CnameLookup => {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: 2 });
  if (server !== undefined) resolver.setServers([server]);
  return (name) => resolver.resolveCname(name);
};

/** The records that a domain needs: none for ngrok's own, two for a wildcard of one's own. */
export const wantedCnames = (domain: ReservedDomain): readonly WantedCname[] => {
  const { cname_target: target, acme_challenge_cname_target: acme } = domain;
  const bare = domain.domain.replace(/^\*\./, '');
  return [
    ...(target === null || target === '' ? [] : [{ name: domain.domain, target }]),
    ...(acme === null || acme === '' ? [] : [{ name: `_acme-challenge.${bare}`, target: acme }]),
  ];
};

const NOT_THERE: ReadonlySet<string> = new Set(['ENODATA', 'ENOTFOUND']);

const plain = (name: string): string => name.replace(/\.$/, '').toLowerCase();

/** Asks the DNS. A wildcard is asked for by a name that nobody else has. */
export const checkCname = async (
  lookup: CnameLookup,
  wanted: WantedCname,
  label: string,
): Promise<CnameCheck> => {
  try {
    const seen = await lookup(wanted.name.replace(/^\*/, label));
    const isRight = seen.some((target) => plain(target) === plain(wanted.target));
    return { ...wanted, state: isRight ? 'ok' : 'wrong', seen: seen.map(plain).join(' ') };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return { ...wanted, state: NOT_THERE.has(code) ? 'missing' : 'unknown', seen: code };
  }
};

/** Reads the state of the certificate from the domain. */
export const certificateOf = (domain: ReservedDomain): CertificateCheck => {
  const { certificate, certificate_management_status: status } = domain;
  const job = status?.provisioning_job ?? null;
  if (job !== null)
    return job.error_code === null
      ? { state: 'provisioning', detail: job.msg }
      : { state: 'failed', detail: `${job.error_code}: ${job.msg}` };
  if (certificate === null) return { state: 'none', detail: '' };
  const renews = status?.renews_at ?? null;
  return { state: 'ready', detail: renews === null ? 'uploaded' : `renews ${renews}` };
};
