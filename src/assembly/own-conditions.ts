/** What is wrong with the device's own files, as conditions. Pure. */
import type { ConditionNow } from '../core/condition.ts';
import type { Fault } from '../core/errors.ts';

const VAULT_SEALED =
  'The authtokens on disk are encrypted under another key: put it back and restart, or send a rekey; until then they are left as they are.';

export interface OwnState {
  readonly diskFault: Fault | null;
  readonly isVaultSealed: boolean;
  readonly tokenFileProblem: string | null;
  /** Why the token in the file is not in use although it was tried. */
  readonly tokenFileRefusal: string | null;
  /** Stores whose files were damaged at the start; `isLost` when no copy was good. */
  readonly recovered: readonly { readonly store: string; readonly isLost: boolean }[];
}

export const ownConditions = (state: OwnState): readonly ConditionNow[] => {
  const { diskFault, isVaultSealed, tokenFileProblem, tokenFileRefusal, recovered } = state;
  const all: ConditionNow[] = [];
  if (diskFault !== null) all.push({ code: 'STORE_DEGRADED', severity: 'error', message: diskFault.message });
  if (isVaultSealed) all.push({ code: 'VAULT_SEALED', severity: 'error', message: VAULT_SEALED });
  if (tokenFileProblem !== null)
    all.push({ code: 'CONFIG_INVALID', severity: 'warning', message: tokenFileProblem });
  if (tokenFileRefusal !== null)
    all.push({ code: 'TOKEN_FILE_REFUSED', severity: 'warning', message: tokenFileRefusal });
  for (const { store, isLost } of recovered)
    all.push({
      code: isLost ? 'STATE_LOST' : 'SLOT_RECOVERED',
      severity: isLost ? 'error' : 'warning',
      message: isLost
        ? `Every copy of the ${store} state was damaged; the files were set aside.`
        : `One copy of the ${store} state was damaged; the other one is used.`,
    });
  return all;
};
