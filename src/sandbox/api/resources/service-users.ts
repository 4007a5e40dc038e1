/** `/service_users`, and the same people under `/bot_users` with ids of their own prefix. */
import { crudRoutes } from '../crud.ts';
import { type FieldTable, textOf } from '../fields.ts';
import { type ServiceUser, serviceUserId } from '../people.ts';
import { type Problem, problem } from '../problems.ts';
import type { Caller, Route, Shown } from '../route.ts';
import { timeText } from '../time-text.ts';
import type { World } from '../world.ts';

const LONGEST_NAME = 255;
const FIELDS: FieldTable = {
  name: { kind: 'string', maxBytes: [LONGEST_NAME, 'nameLong'] },
  active: { kind: 'boolean' },
};

const routesAt = (world: World, path: string, idPrefix: string): readonly Route[] => {
  const { accounts, keys } = world;
  const { people } = accounts;
  const idOf = (user: ServiceUser): string => `${idPrefix}_${user.key}`;
  const find = (caller: Caller, id: string): ServiceUser | null =>
    people.serviceUser(caller.account, id.slice(idPrefix.length + 1));
  const show = (user: ServiceUser): Shown => ({
    id: idOf(user),
    uri: world.uri(path, idOf(user)),
    name: user.name,
    active: user.active,
    created_at: timeText(user.createdAtMs),
  });
  const checkName = (caller: Caller, name: string, self: ServiceUser | null): Problem | null => {
    if (name === '') return problem('nameEmpty');
    const isTaken = people.serviceUsers(caller.account).some((user) => user.name === name && user !== self);
    return isTaken ? problem('nameTaken') : null;
  };
  const onlyAdmins = (caller: Caller): Problem | null =>
    caller.role === 'admin' ? null : problem('adminsOnly');

  return crudRoutes(world, {
    path,
    listKey: path,
    idPrefix,
    fields: FIELDS,
    filterable: ['id', 'created_at'],
    emptyPatch: null,
    list: (caller) =>
      people.serviceUsers(caller.account).map((user) => ({ id: idOf(user), shown: show(user) })),
    create: (caller, body) => {
      const name = textOf(body, 'name');
      return (
        onlyAdmins(caller) ??
        checkName(caller, name, null) ??
        show(people.addServiceUser(caller.account, name, body['active'] !== false))
      );
    },
    update: (caller, id, body) => {
      const refused = onlyAdmins(caller);
      if (refused) return refused;
      const user = find(caller, id);
      if (!user) return problem('noRoute');
      const name = body['name'] === undefined ? user.name : textOf(body, 'name');
      const badName = checkName(caller, name, user);
      if (badName) return badName;
      user.name = name;
      if (typeof body['active'] === 'boolean') accounts.setServiceUserActive(user, body['active']);
      return show(user);
    },
    remove: (caller, id) => {
      const refused = onlyAdmins(caller);
      if (refused) return refused;
      const user = find(caller, id);
      if (!user) return problem('noRoute');
      keys.removeOf(serviceUserId(user));
      accounts.deleteServiceUser(user);
      return null;
    },
  });
};

export const serviceUserRoutes = (world: World): readonly Route[] => [
  ...routesAt(world, 'service_users', 'service'),
  ...routesAt(world, 'bot_users', 'bot'),
];
