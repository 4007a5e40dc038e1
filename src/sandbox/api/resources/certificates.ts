/** `/tls_certificates`, `/certificate_authorities`, `/agent_ingresses`. */
import { X509Certificate } from 'node:crypto';
import { crudRoutes, plainResource } from '../crud.ts';
import { textOf } from '../fields.ts';
import { problem } from '../problems.ts';
import type { Route, Shown } from '../route.ts';
import { type Row, rowText } from '../rows.ts';
import { timeText } from '../time-text.ts';
import type { World } from '../world.ts';

/** The first certificate of a PEM text, or null. */
const readPem = (pem: string): X509Certificate | null => {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
};

const facts = (pem: string): Shown => {
  const certificate = readPem(pem);
  if (!certificate) return {};
  return {
    subject_common_name: /CN=(.+)/.exec(certificate.subject)?.[1] ?? '',
    not_before: timeText(certificate.validFromDate.getTime()),
    not_after: timeText(certificate.validToDate.getTime()),
    serial_number: certificate.serialNumber.toLowerCase(),
    issuer_common_name: /CN=(.+)/.exec(certificate.issuer)?.[1] ?? '',
  };
};

const isDomainInUse = (world: World, row: Row): boolean =>
  world.rows('reserved_domains').named(row.account, 'certificate_id', row.id) !== null;

export const certificateRoutes = (world: World): readonly Route[] => [
  ...crudRoutes(
    world,
    plainResource(world, {
      path: 'tls_certificates',
      listKey: 'tls_certificates',
      idPrefix: 'cert',
      audited: 'tls_certificate',
      fields: {
        certificate_pem: { kind: 'string', required: true, only: 'create' },
        private_key_pem: { kind: 'string', required: true, only: 'create' },
      },
      defaults: {},
      prepare: (values) => {
        const { private_key_pem: _key, ...kept } = values;
        return readPem(textOf(values, 'certificate_pem'))
          ? kept
          : problem('badValue', { field: 'certificate_pem' });
      },
      show: (row) => facts(rowText(row, 'certificate_pem')),
      mayRemove: (_caller, row) => (isDomainInUse(world, row) ? problem('inUse') : null),
    }),
  ),
  ...crudRoutes(
    world,
    plainResource(world, {
      path: 'certificate_authorities',
      listKey: 'certificate_authorities',
      idPrefix: 'ca',
      audited: 'certificate_authority',
      fields: { ca_pem: { kind: 'string', required: true, only: 'create' } },
      defaults: {},
      prepare: (values) => {
        const certificate = readPem(textOf(values, 'ca_pem'));
        return certificate?.ca === true ? values : problem('badValue', { field: 'ca_pem' });
      },
      show: (row) => facts(rowText(row, 'ca_pem')),
    }),
  ),
  ...crudRoutes(
    world,
    plainResource(world, {
      path: 'agent_ingresses',
      listKey: 'ingresses',
      idPrefix: 'agin',
      audited: null,
      fields: {
        domain: { kind: 'string', required: true, only: 'create' },
        certificate_management_policy: { kind: 'object' },
      },
      defaults: { certificate_management_policy: null },
      prepare: (values, { caller, row }) => {
        const other = world.rows('agent_ingresses').named(caller.account, 'domain', textOf(values, 'domain'));
        return other && other !== row ? problem('taken', { field: 'domain' }) : values;
      },
      show: (row) => ({
        ns_targets: [`ns1.${world.domain}`, `ns2.${world.domain}`],
        region_domains: [`connect.local.${rowText(row, 'domain')}`],
      }),
    }),
  ),
];
