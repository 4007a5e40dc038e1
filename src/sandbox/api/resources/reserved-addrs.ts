/** `/reserved_addrs`: TCP addresses of the account. */
import type { Refusal } from '../../contract.ts';
import type { BindTarget } from '../acl.ts';
import { crudRoutes, plainResource } from '../crud.ts';
import type { Route } from '../route.ts';
import { rowText } from '../rows.ts';
import type { World } from '../world.ts';

const PATH = 'reserved_addrs';
const FIRST_PORT = 20_001;

/** 307 and 309: an address that the agent names must be reserved, by its own account. */
export const addressRefusal = (world: World, account: string, target: BindTarget): Refusal | null => {
  if (target.random || target.host.endsWith('.internal')) return null;
  const address = `${target.host}:${target.port ?? ''}`;
  const owners = world
    .rows(PATH)
    .all()
    .filter((row) => rowText(row, 'addr') === address)
    .map((row) => row.account);
  if (owners.includes(account)) return null;
  return owners.length > 0
    ? { code: 'ERR_NGROK_309', message: `The address ${address} belongs to another account.` }
    : { code: 'ERR_NGROK_307', message: `The address ${address} must be reserved first.` };
};

export const reservedAddrRoutes = (world: World): readonly Route[] => {
  let nextPort = FIRST_PORT;
  return crudRoutes(
    world,
    plainResource(world, {
      path: PATH,
      listKey: PATH,
      idPrefix: 'ra',
      audited: 'tcp_address',
      fields: { region: { kind: 'string', only: 'create' } },
      defaults: { region: 'local' },
      filterable: ['addr', 'region'],
      emptyPatch: 'addressNoChange',
      prepare: (values, { row }) => {
        if (row) return values;
        const addr = `1.tcp.${world.domain}:${nextPort}`;
        nextPort += 1;
        return { ...values, addr };
      },
    }),
  );
};
