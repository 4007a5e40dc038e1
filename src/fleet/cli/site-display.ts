/** Sites and plans as text and JSON. */
import { randomBytes } from 'node:crypto';
import type { Change, SitePlan } from '../site/site-plan.ts';
import {
  type CertificateCheck,
  type CnameCheck,
  certificateOf,
  checkCname,
  createCnameLookup,
  wantedCnames,
} from '../site/site-readiness.ts';
import type { SiteRecord } from '../site/site-record.ts';
import { diffLines } from '../text-diff.ts';
import type { Output } from './output.ts';

const MARKS = { create: '+', update: '~', delete: '-' } as const;

/** A change for people: one line, and the difference of each field below it. */
export const changeLines = (change: Change): readonly string[] => [
  `${MARKS[change.action]} ${change.kind} ${change.name}`,
  ...(change.action === 'update'
    ? change.fields.flatMap(({ field, from, to }) => [
        `    ${field}:`,
        ...diffLines(from, to)
          .filter((line) => !line.startsWith(' '))
          .map((line) => `      ${line}`),
      ])
    : []),
];

/** A plan for people. */
export const printPlan = (out: Output, { changes, surplus }: SitePlan): void => {
  for (const change of changes) for (const line of changeLines(change)) out.line(line);
  for (const { kind, name } of surplus) out.line(`  ${kind} ${name} is not in the file; --prune deletes it`);
  if (changes.length === 0) out.line('nothing to change');
};

interface Readiness {
  readonly cnames: readonly CnameCheck[];
  readonly certificate: CertificateCheck;
}

/** Whether the site can serve. */
export const isReady = ({ cnames, certificate }: Readiness): boolean =>
  cnames.every(({ state }) => state === 'ok') &&
  (certificate.state === 'ready' || (certificate.state === 'none' && cnames.length === 0));

/** Asks the DNS and reads the certificate. */
export const readinessOf = async (
  { domain }: SiteRecord,
  options: { readonly resolver?: string; readonly dns?: boolean },
): Promise<Readiness> => {
  const lookup = createCnameLookup(options.resolver);
  const label = `lk-${randomBytes(4).toString('hex')}`;
  const wanted = wantedCnames(domain);
  return {
    cnames:
      options.dns === false
        ? wanted.map((one) => ({ ...one, state: 'unknown' as const, seen: 'not asked' }))
        : await Promise.all(wanted.map((one) => checkCname(lookup, one, label))),
    certificate: certificateOf(domain),
  };
};

/** A site for scripts. */
export const siteJson = ({ domain, tag }: SiteRecord, readiness: Readiness | null): object => ({
  site: tag.site,
  domain: domain.domain,
  domainId: domain.id,
  acl: tag.acl,
  policy: tag.policy,
  ...(readiness === null ? {} : { ...readiness, ready: isReady(readiness) }),
});

const CNAME_WORDS: Readonly<Record<CnameCheck['state'], (check: CnameCheck) => string>> = {
  ok: () => 'is set',
  missing: () => 'is missing: set it at your DNS',
  wrong: ({ seen }) => `points to ${seen} instead`,
  unknown: ({ seen }) => `could not be looked up (${seen})`,
};

/** A site for people. */
export const siteLines = ({ domain, tag }: SiteRecord, readiness: Readiness): readonly string[] => [
  `site         ${tag.site}`,
  `domain       ${domain.domain}  ${domain.id}`,
  ...readiness.cnames.map(
    (check) => `CNAME        ${check.name}  →  ${check.target}  ${CNAME_WORDS[check.state](check)}`,
  ),
  `certificate  ${readiness.certificate.state}${readiness.certificate.detail === '' ? '' : `: ${readiness.certificate.detail}`}`,
  `default ACL  ${tag.acl.join(' ')}`,
  `policy       ${tag.policy === '' ? 'none' : `${tag.policy.split('\n').length} line(s)`}`,
];
