import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ownConditions } from '../../../src/assembly/own-conditions.ts';
import { createTokenFile, type TokenFile } from '../../../src/assembly/token-file.ts';
import { fault } from '../../../src/core/errors.ts';
import { commit, finish, markProved, rollback } from '../../../src/vault/token-slots.ts';
import { openTokenVault, type TokenVault } from '../../../src/vault/token-vault.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { tempDir } from '../../support/temp-dir.ts';

const GOOD = 'the-good-token';
const BAD = 'the-refused-token';
const REFUSED = fault('NGROK_AUTH_REFUSED', 'The authtoken is unknown to ngrok (ERR_NGROK_107).', false);

const conditionsOf = (file: TokenFile) =>
  ownConditions({
    diskFault: null,
    isVaultSealed: false,
    tokenFileProblem: file.problem(),
    tokenFileRefusal: file.refusal(),
    recovered: [],
  });

/** A device whose good token came from the file, which then holds another. */
const world = async () => {
  const path = join(await tempDir(), 'authtoken');
  const vault = await openTokenVault({ dir: '/state', disk: new MemoryDisk() });
  let writtenS = 1_000;
  const write = async (token: string): Promise<void> => {
    await writeFile(path, `${token}\n`, { mode: 0o600 });
    // Two writes within one tick of the file system's clock are one to whoever looks at its time.
    writtenS += 1;
    await utimes(path, writtenS, writtenS);
  };
  const open = (of: TokenVault = vault) => {
    const told = { staged: 0, changed: 0 };
    const file = createTokenFile({
      path,
      env: {},
      log: pino({ level: 'silent' }),
      vault: of,
      staged: () => {
        told.staged += 1;
      },
      changed: () => {
        told.changed += 1;
      },
    });
    return { file, told };
  };
  await write(GOOD);
  const { file, told } = open();
  await file.read();
  await vault.apply((state) => markProved(state, 'a'));
  await file.look();
  return { path, vault, write, open, file, told };
};

test('a token that was refused is a condition without the token, until the file holds another or none', async () => {
  const { path, vault, write, open, file, told } = await world();
  await write(BAD);
  await file.look();
  expect([told.staged, file.refusal()]).toEqual([2, null]);
  await vault.apply((state) => rollback(state, REFUSED));
  expect(conditionsOf(file)).toMatchObject([{ code: 'TOKEN_FILE_REFUSED', severity: 'warning' }]);
  expect(file.refusal()).toContain('ERR_NGROK_107');
  expect(file.refusal()).not.toContain(BAD);
  // A restart finds it again, and does not try it again.
  const next = open();
  await next.file.read();
  await next.file.look();
  expect([next.told.staged, next.file.refusal()]).toEqual([0, file.refusal()]);
  await rm(path);
  await next.file.look();
  expect(conditionsOf(next.file)).toMatchObject([{ code: 'CONFIG_INVALID' }]);
  await write(GOOD);
  await file.look();
  expect([vault.state().swap, conditionsOf(file)]).toEqual([null, []]);
});

test('a refused token that is written again is tried again, and is no condition once it works', async () => {
  const { vault, write, file, told } = await world();
  await write(BAD);
  await file.look();
  await vault.apply((state) => rollback(state, REFUSED));
  await file.look();
  expect(told.staged).toBe(2);
  await write(BAD);
  await file.look();
  expect([told.staged, vault.state().swap?.phase, file.refusal()]).toEqual([3, 'staged', null]);
  await vault.apply((state) => finish(commit(state)));
  expect(conditionsOf(file)).toEqual([]);
});

test('a token that comes while a swap is under way is tried after it', async () => {
  const { vault, write, file, told } = await world();
  await write('the-first-of-two');
  await file.look();
  await write('the-second-of-two');
  await file.look();
  expect(told.staged).toBe(2);
  await vault.apply((state) => rollback(state, REFUSED));
  await file.look();
  expect(told.staged).toBe(3);
  expect(vault.state().b?.authtoken).toBe('the-second-of-two');
});
