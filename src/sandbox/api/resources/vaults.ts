/** `/vaults` and `/vault_secrets`. A secret's value goes in and is not kept: nothing here could use it. */
import { crudRoutes, type PlainDefinition, plainResource, showRow } from '../crud.ts';
import { textOf } from '../fields.ts';
import { LIST_QUERY, page } from '../paging.ts';
import { isProblem, problem } from '../problems.ts';
import { okay, type Route } from '../route.ts';
import { rowText } from '../rows.ts';
import { ref, type World } from '../world.ts';

const SECRET_FILTER = ['id', 'created_at', 'description', 'metadata', 'name'];

const vaults = (world: World): PlainDefinition => ({
  path: 'vaults',
  listKey: 'vaults',
  idPrefix: 'vault',
  audited: 'vault',
  fields: { name: { kind: 'string', required: true } },
  defaults: {},
  filterable: ['name'],
  prepare: (values, { caller, row }) => {
    const name = textOf(values, 'name');
    if (name === '') return problem('missingField', { field: 'name' });
    const other = world.rows('vaults').named(caller.account, 'name', name);
    return other && other !== row ? problem('taken', { field: 'name' }) : values;
  },
  mayRemove: (caller, row) =>
    world.rows('vault_secrets').named(caller.account, 'vault_id', row.id) ? problem('inUse') : null,
});

const secrets = (world: World): PlainDefinition => ({
  path: 'vault_secrets',
  listKey: 'secrets',
  idPrefix: 'secret',
  audited: 'secret',
  fields: {
    name: { kind: 'string', required: true },
    value: { kind: 'string', required: true },
    vault_id: { kind: 'string', ids: 'vault', only: 'create' },
    vault_name: { kind: 'string', only: 'create' },
  },
  defaults: {},
  filterable: ['name'],
  refers: { vault_id: 'vaults' },
  prepare: (values, { caller, row }) => {
    const { value: _value, vault_name: _vaultName, ...kept } = values;
    const byName = world.rows('vaults').named(caller.account, 'name', textOf(values, 'vault_name'));
    const vaultId = textOf(values, 'vault_id') || (byName?.id ?? '');
    if (vaultId === '') return problem('missingField', { field: 'vault_id' });
    const isTaken = world
      .rows('vault_secrets')
      .list(caller.account)
      .some(
        (other) =>
          other !== row &&
          rowText(other, 'vault_id') === vaultId &&
          rowText(other, 'name') === textOf(values, 'name'),
      );
    return isTaken ? problem('taken', { field: 'name' }) : { ...kept, vault_id: vaultId };
  },
  show: (row) => ({ vault_id: undefined, vault: ref(world, 'vaults', rowText(row, 'vault_id')) }),
});

export const vaultRoutes = (world: World): readonly Route[] => {
  const secretDefinition = secrets(world);
  return [
    ...crudRoutes(world, plainResource(world, vaults(world))),
    ...crudRoutes(world, plainResource(world, secretDefinition)),
    {
      method: 'GET',
      path: 'vaults/:id/secrets',
      body: null,
      query: LIST_QUERY,
      idPrefix: 'vault',
      run: ({ caller, params, query }) => {
        const vault = world.rows('vaults').get(caller.account, params['id'] ?? '');
        if (!vault) return problem('noRoute');
        const items = world
          .rows('vault_secrets')
          .list(caller.account)
          .filter((row) => rowText(row, 'vault_id') === vault.id)
          .map((row) => ({ id: row.id, shown: showRow(world, secretDefinition, row) }));
        const uri = `${world.uri('vaults', vault.id)}/secrets`;
        const listing = { listKey: 'secrets', idPrefix: 'secret', filterable: SECRET_FILTER, uri };
        const result = page(listing, items, query);
        return isProblem(result) ? result : okay(result);
      },
    },
  ];
};
