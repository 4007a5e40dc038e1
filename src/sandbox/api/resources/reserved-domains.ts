/** `/reserved_domains`: names of the account, with the CNAMEs and the certificate that a custom one needs. */
import type { Refusal } from '../../contract.ts';
import type { BindTarget } from '../acl.ts';
import { crudRoutes, type PlainDefinition, plainResource } from '../crud.ts';
import { type Body, textOf } from '../fields.ts';
import { type Problem, problem } from '../problems.ts';
import { done, type Route, type Shown } from '../route.ts';
import { type Row, rowText } from '../rows.ts';
import { timeText } from '../time-text.ts';
import { ref, type World } from '../world.ts';
import { parseEndpointUrl } from './endpoint-url.ts';

const PATH = 'reserved_domains';
const CERTIFICATE_LIFE_MS = 60 * 86_400_000;
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const DOMAIN = new RegExp(`^(?:\\*\\.)?${LABEL}(?:\\.${LABEL})+$`);

const domainProblem = (domain: string): Problem | null => {
  if (domain.includes('*') && (!domain.startsWith('*.') || domain.includes('*', 1)))
    return problem('domainWildcard');
  return DOMAIN.test(domain) ? null : problem('domainInvalid');
};

/** True when `host`, a name or a wildcard, is `domain` or lies under it when that is a wildcard. */
export const covers = (domain: string, host: string): boolean =>
  host === domain || (domain.startsWith('*.') && host.endsWith(domain.slice(1)));

/** The account's reservation that covers a host, or null. */
export const reservationOf = (world: World, account: string, host: string): Row | null =>
  world
    .rows(PATH)
    .list(account)
    .find((row) => covers(rowText(row, 'domain'), host)) ?? null;

/** 318 to 320: custom names must be reserved, by the account that uses them. */
export const domainRefusal = (world: World, account: string, target: BindTarget): Refusal | null => {
  const host = target.host.toLowerCase();
  if (target.random || host.endsWith('.internal') || reservationOf(world, account, host)) return null;
  const isForeign = world
    .rows(PATH)
    .all()
    .some((row) => covers(rowText(row, 'domain'), host));
  if (isForeign) return { code: 'ERR_NGROK_320', message: `The domain ${host} belongs to another account.` };
  return host.startsWith('*.')
    ? { code: 'ERR_NGROK_318', message: `The wildcard domain ${host} must be reserved first.` }
    : { code: 'ERR_NGROK_319', message: `The domain ${host} must be reserved first.` };
};

const definitionFor = (world: World): PlainDefinition => {
  const isCustom = (row: Row): boolean => !covers(`*.${world.domain}`, rowText(row, 'domain'));
  const isInUse = (row: Row): boolean =>
    world
      .rows('endpoints')
      .list(row.account)
      .some((endpoint) =>
        covers(rowText(row, 'domain'), parseEndpointUrl(rowText(endpoint, 'url'))?.host ?? ''),
      );

  const certificate = (row: Row): Shown => {
    const idPart = row.id.slice(row.id.indexOf('_') + 1);
    const given = rowText(row, 'certificate_id');
    if (given !== '') {
      return { certificate: ref(world, 'tls_certificates', given), certificate_management_status: null };
    }
    if (row.values['certificate_management_policy'] === null) {
      return { certificate: null, certificate_management_status: null };
    }
    const readyMs = row.createdAtMs + world.accounts.switches.certificateMs;
    const isReady = world.clock.wall() >= readyMs;
    return {
      certificate: isReady ? ref(world, 'tls_certificates', `cert_${idPart}`) : null,
      certificate_management_status: {
        renews_at: isReady ? timeText(readyMs + CERTIFICATE_LIFE_MS) : null,
        provisioning_job: isReady
          ? null
          : {
              error_code: null,
              msg: 'The certificate is being made.',
              started_at: timeText(row.createdAtMs),
              retries_at: null,
            },
      },
    };
  };

  return {
    path: PATH,
    listKey: PATH,
    idPrefix: 'rd',
    audited: 'domain',
    fields: {
      domain: { kind: 'string', only: 'create', required: true },
      region: { kind: 'string' },
      certificate_id: { kind: 'string', ids: 'cert' },
      certificate_management_policy: { kind: 'object' },
      resolves_to: { kind: 'objects' },
    },
    defaults: { region: '', certificate_id: '', certificate_management_policy: null, resolves_to: [] },
    filterable: ['domain', 'cname_target', 'certificate.id'],
    emptyPatch: 'domainNoChange',
    refers: { certificate_id: 'tls_certificates' },
    prepare: (values, { caller, row }) => {
      const domain = textOf(values, 'domain').toLowerCase();
      const refused = domainProblem(domain);
      if (refused) return refused;
      const hasBoth =
        textOf(values, 'certificate_id') !== '' && (values['certificate_management_policy'] ?? null) !== null;
      if (hasBoth) return problem('domainBothCertificates');
      const others = world
        .rows(PATH)
        .all()
        .filter((other) => other !== row && rowText(other, 'domain') === domain);
      if (others.length > 0) {
        return problem(
          others.some((other) => other.account === caller.account) ? 'domainYours' : 'domainTaken',
        );
      }
      const isBare =
        textOf(values, 'certificate_id') === '' && (values['certificate_management_policy'] ?? null) === null;
      const managed: Body =
        row === null && isBare
          ? { certificate_management_policy: { authority: 'letsencrypt', private_key_type: 'ecdsa' } }
          : {};
      return { ...values, domain, ...managed };
    },
    show: (row) => {
      const idPart = row.id.slice(-12).toLowerCase();
      const isWildcard = rowText(row, 'domain').startsWith('*.');
      return {
        certificate_id: undefined,
        cname_target: isCustom(row) ? `${idPart}.cname.${world.domain}` : null,
        acme_challenge_cname_target: isCustom(row) && isWildcard ? `${idPart}.acme.${world.domain}` : null,
        ...certificate(row),
      };
    },
    mayRemove: (_caller, row) => (isInUse(row) ? problem('domainInUse') : null),
  };
};

export const reservedDomainRoutes = (world: World): readonly Route[] => {
  const definition = definitionFor(world);
  const clearing = (tail: string, cleared: Body): Route => ({
    method: 'DELETE',
    path: `${PATH}/:id/${tail}`,
    body: null,
    query: [],
    idPrefix: 'rd',
    run: ({ caller, params }) => {
      const row = world.rows(PATH).get(caller.account, params['id'] ?? '');
      if (!row) return problem('noRoute');
      row.values = { ...row.values, ...cleared };
      return done;
    },
  });
  return [
    ...crudRoutes(world, plainResource(world, definition)),
    clearing('certificate', { certificate_id: '' }),
    clearing('certificate_management_policy', { certificate_management_policy: null }),
  ];
};
