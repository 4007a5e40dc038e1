/** `/api_keys`. Like a credential's token, the key is shown once. */
import { crudRoutes } from '../crud.ts';
import { DESCRIBED, textOf } from '../fields.ts';
import type { KeyRecord } from '../keys.ts';
import { problem } from '../problems.ts';
import type { Route, Shown } from '../route.ts';
import { timeText } from '../time-text.ts';
import { audit, type World } from '../world.ts';
import { ownerOf } from './owner.ts';

const PATH = 'api_keys';

export const apiKeyRoutes = (world: World): readonly Route[] => {
  const { keys } = world;
  const show = (record: KeyRecord): Shown => ({
    id: record.id,
    uri: world.uri(PATH, record.id),
    created_at: timeText(record.createdAtMs),
    description: record.description,
    metadata: record.metadata,
    token: null,
    owner_id: record.ownerId,
  });
  return crudRoutes(world, {
    path: PATH,
    listKey: PATH,
    idPrefix: 'ak',
    fields: { ...DESCRIBED, owner_id: { kind: 'string', only: 'create' } },
    filterable: ['id', 'created_at', 'description', 'metadata', 'owner_id'],
    emptyPatch: null,
    list: (caller) => keys.list(caller.account).map((record) => ({ id: record.id, shown: show(record) })),
    create: (caller, body) => {
      const ownerId = ownerOf(world, caller, body);
      if (typeof ownerId === 'object') return ownerId;
      const { record, key } = keys.add({
        account: caller.account,
        ownerId,
        role: caller.role,
        description: textOf(body, 'description'),
        metadata: textOf(body, 'metadata'),
      });
      audit(world, caller, 'api_key_created', show(record));
      return { ...show(record), token: key };
    },
    update: (caller, id, body) => {
      const record = keys.get(caller.account, id);
      if (!record) return problem('noRoute');
      if (body['description'] !== undefined) record.description = textOf(body, 'description');
      if (body['metadata'] !== undefined) record.metadata = textOf(body, 'metadata');
      audit(world, caller, 'api_key_updated', show(record));
      return show(record);
    },
    remove: (caller, id) => {
      const record = keys.get(caller.account, id);
      if (!record) return problem('noRoute');
      keys.remove(record);
      audit(world, caller, 'api_key_deleted', show(record));
      return null;
    },
  });
};
