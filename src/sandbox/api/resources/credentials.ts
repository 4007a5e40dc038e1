/** `/credentials`: authtokens. The token is shown in the answer to the creation and never again. */
import type { CredentialRecord } from '../accounts.ts';
import { badRule } from '../acl.ts';
import { crudRoutes } from '../crud.ts';
import { type Body, DESCRIBED, type FieldTable, listOf, textOf } from '../fields.ts';
import { type Problem, problem } from '../problems.ts';
import type { Route, Shown } from '../route.ts';
import { timeText } from '../time-text.ts';
import { audit, type World } from '../world.ts';
import { ownerOf } from './owner.ts';

const PATH = 'credentials';
const FIELDS: FieldTable = {
  ...DESCRIBED,
  acl: { kind: 'strings' },
  owner_id: { kind: 'string', only: 'create' },
};

const checkAcl = (body: Body): Problem | null => {
  const rule = badRule(listOf(body, 'acl'));
  return rule === null ? null : problem('badAcl', { rule });
};

/** Ends the open endpoints that the credential's ACL no longer covers. */
const applyAclNow = (world: World, record: CredentialRecord): void => {
  for (const session of world.edge.sessions.values()) {
    if (session.credential.id !== record.id) continue;
    for (const endpoint of [...session.endpoints.values()]) {
      const { proto, host, port } = endpoint;
      const refusal = world.accounts.mayBind(record.id, { proto, host, port, random: false });
      if (refusal) world.edge.stopEndpoint(endpoint.id, refusal.message, refusal.code);
    }
  }
};

export const credentialRoutes = (world: World): readonly Route[] => {
  const { accounts } = world;
  const show = (record: CredentialRecord): Shown => ({
    id: record.id,
    uri: world.uri(PATH, record.id),
    created_at: timeText(record.createdAtMs),
    description: record.description,
    metadata: record.metadata,
    token: null,
    acl: record.acl,
    owner_id: record.ownerId,
  });

  return crudRoutes(world, {
    path: PATH,
    listKey: PATH,
    idPrefix: 'cr',
    fields: FIELDS,
    filterable: ['id', 'created_at', 'description', 'metadata', 'owner_id'],
    emptyPatch: 'credentialNoChange',
    list: (caller) =>
      accounts.credentials(caller.account).map((record) => ({ id: record.id, shown: show(record) })),
    create: (caller, body) => {
      const refused = checkAcl(body);
      if (refused) return refused;
      const ownerId = ownerOf(world, caller, body);
      if (typeof ownerId === 'object') return ownerId;
      const { record, token } = accounts.createCredential({
        account: caller.account,
        ownerId,
        acl: listOf(body, 'acl'),
        description: textOf(body, 'description'),
        metadata: textOf(body, 'metadata'),
      });
      audit(world, caller, 'tunnel_credential_created', show(record));
      return { ...show(record), token };
    },
    update: (caller, id, body) => {
      const refused = checkAcl(body);
      if (refused) return refused;
      const record = accounts.credential(caller.account, id);
      if (!record) return problem('noRoute');
      if (body['description'] !== undefined) record.description = textOf(body, 'description');
      if (body['metadata'] !== undefined) record.metadata = textOf(body, 'metadata');
      if (body['acl'] !== undefined) {
        record.acl = listOf(body, 'acl');
        if (accounts.switches.aclPatch === 'now') applyAclNow(world, record);
      }
      audit(world, caller, 'tunnel_credential_updated', show(record));
      return show(record);
    },
    remove: (caller, id) => {
      const record = accounts.credential(caller.account, id);
      if (!record) return problem('noRoute');
      accounts.revokeCredential(record);
      audit(world, caller, 'tunnel_credential_deleted', show(record));
      return null;
    },
  });
};
