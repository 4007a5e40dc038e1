/** `/ip_policies`, `/ip_policy_rules`, `/ip_restrictions`. */
import { BlockList, isIP } from 'node:net';
import { crudRoutes, plainResource } from '../crud.ts';
import { textOf } from '../fields.ts';
import { problem } from '../problems.ts';
import type { Route } from '../route.ts';
import { rowList, rowText } from '../rows.ts';
import { ref, type World } from '../world.ts';

const isCidr = (text: string): boolean => {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  if (bits === undefined) return true;
  try {
    new BlockList().addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4');
    return /^\d+$/.test(bits);
  } catch {
    return false;
  }
};

export const ipPolicyRoutes = (world: World): readonly Route[] => [
  ...crudRoutes(
    world,
    plainResource(world, {
      path: 'ip_policies',
      listKey: 'ip_policies',
      idPrefix: 'ipp',
      audited: 'ip_policy',
      fields: {},
      defaults: {},
    }),
  ),
  ...crudRoutes(
    world,
    plainResource(world, {
      path: 'ip_policy_rules',
      listKey: 'ip_policy_rules',
      idPrefix: 'ipr',
      audited: 'ip_policy_rule',
      fields: {
        cidr: { kind: 'string', required: true },
        ip_policy_id: { kind: 'string', ids: 'ipp', required: true, only: 'create' },
        action: { kind: 'string', oneOf: ['allow', 'deny'], only: 'create' },
      },
      defaults: { action: 'allow' },
      filterable: ['ip_policy', 'cidr', 'action'],
      refers: { ip_policy_id: 'ip_policies' },
      prepare: (values) => (isCidr(textOf(values, 'cidr')) ? values : problem('badValue', { field: 'cidr' })),
      show: (row) => ({
        ip_policy_id: undefined,
        ip_policy: ref(world, 'ip_policies', rowText(row, 'ip_policy_id')),
      }),
    }),
  ),
  ...crudRoutes(
    world,
    plainResource(world, {
      path: 'ip_restrictions',
      listKey: 'ip_restrictions',
      idPrefix: 'ipx',
      audited: 'ip_restriction',
      fields: {
        type: {
          kind: 'string',
          oneOf: ['dashboard', 'api', 'agent', 'endpoints'],
          required: true,
          only: 'create',
        },
        enforced: { kind: 'boolean' },
        ip_policy_ids: { kind: 'strings', ids: 'ipp', required: true },
      },
      defaults: { enforced: false },
      refers: { ip_policy_ids: 'ip_policies' },
      show: (row) => ({
        ip_policy_ids: undefined,
        ip_policies: rowList(row, 'ip_policy_ids').map((id) => ref(world, 'ip_policies', id)),
      }),
    }),
  ),
];
