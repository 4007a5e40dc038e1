/** Who will own a new credential or API key: the caller, unless an administrator names somebody else. */
import type { Body } from '../fields.ts';
import { textOf } from '../fields.ts';
import { type Problem, problem } from '../problems.ts';
import type { Caller } from '../route.ts';
import type { World } from '../world.ts';

export const ownerOf = (world: World, caller: Caller, body: Body): string | Problem => {
  const reference = textOf(body, 'owner_id');
  if (reference === '') return caller.ownerId;
  const owner = world.accounts.people.find(caller.account, reference);
  if (caller.role !== 'admin' && owner?.id !== caller.ownerId) return problem('ownerNotAllowed');
  if (!owner) return problem('noOwner', { field: 'owner_id' });
  return owner.isActive ? owner.id : problem('ownerInactive');
};
