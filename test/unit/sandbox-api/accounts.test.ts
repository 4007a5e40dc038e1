import { describe, expect, test } from 'vitest';
import { createAccounts, type SandboxAccounts } from '../../../src/sandbox/api/accounts.ts';
import { defaultSwitches, type When } from '../../../src/sandbox/api/switches.ts';
import type { Credential } from '../../../src/sandbox/contract.ts';
import { manualClock } from '../../support/manual-clock.ts';

const target = { proto: 'https', host: 'x.edge.test', port: null, random: false };

const setUp = (switches = {}) => createAccounts(manualClock(), { ...defaultSwitches(), ...switches });

const credentialOf = (accounts: SandboxAccounts, token: string): Credential => {
  const answer = accounts.authenticate(token);
  if ('code' in answer) throw new Error(answer.code);
  return answer;
};
const codeOf = (accounts: SandboxAccounts, token: string): string | null => {
  const answer = accounts.authenticate(token);
  return 'code' in answer ? answer.code : null;
};

test('accepts a registered token of any form and refuses others by their form', () => {
  const accounts = setUp();
  accounts.setToken('tok A', { name: 'one' });
  expect(credentialOf(accounts, 'tok A')).toMatchObject({
    name: 'one',
    account: 'A',
    acl: [],
    maxSessions: null,
  });
  expect(codeOf(accounts, '')).toBe('ERR_NGROK_4018');
  expect(codeOf(accounts, 'tok B')).toBe('ERR_NGROK_105');
  expect(codeOf(accounts, `${'a'.repeat(27)}_${'b'.repeat(21)}`)).toBe('ERR_NGROK_107');
});

test('changes a registered token as a whole and keeps its credential', () => {
  const accounts = setUp();
  const { id } = accounts.setToken('t', {
    name: 'n',
    account: 'B',
    acl: ['bind:x.edge.test'],
    maxSessions: 3,
  });
  accounts.setToken('t', { maxSessions: 1 });
  expect(credentialOf(accounts, 't')).toMatchObject({ id, name: 'n', account: 'A', acl: [], maxSessions: 1 });
});

test('refuses a revoked token with 107 whatever its form and takes it again as a new credential', () => {
  const accounts = setUp();
  const first = accounts.setToken('t', { name: 'n' });
  expect(accounts.revokeToken('t')).toBe('revoked');
  expect(codeOf(accounts, 't')).toBe('ERR_NGROK_107');
  expect(accounts.revokeToken('t')).toBe('revoked-before');
  expect(accounts.revokeToken('never seen')).toBe('unknown');
  const again = accounts.setToken('t');
  expect(again.id).not.toBe(first.id);
  expect(credentialOf(accounts, 't').name).toBe('n');
  expect(accounts.mayBind(first.id, target)?.code).toBe('ERR_NGROK_300');
  expect(accounts.mayBind(again.id, target)).toBeNull();
});

test('applies the ACL as it stands at the bind', () => {
  const accounts = setUp();
  const { id } = accounts.setToken('t');
  expect(accounts.mayBind(id, target)).toBeNull();
  accounts.setToken('t', { acl: ['bind:y.edge.test'] });
  expect(accounts.mayBind(id, target)?.code).toBe('ERR_NGROK_316');
});

describe.each<[When, string | null]>([
  ['at-once', 'ERR_NGROK_300'],
  ['next-bind', 'ERR_NGROK_300'],
  ['next-connect', null],
])('with effect %s', (when, bindCode) => {
  test('a deleted credential says when it ends, and its sessions may bind accordingly', () => {
    const accounts = setUp({ revoke: when });
    const told: string[] = [];
    accounts.onRevoked((id, effect) => told.push(`${id} ${effect}`));
    const { id } = accounts.setToken('t');
    accounts.revokeToken('t');
    expect(told).toEqual([`${id} ${when}`]);
    expect(accounts.mayBind(id, target)?.code ?? null).toBe(bindCode);
    expect(codeOf(accounts, 't')).toBe('ERR_NGROK_107');
  });

  test('a disabled service user suspends its credentials until it is enabled again', () => {
    const accounts = setUp({ disable: when });
    const told: string[] = [];
    accounts.onRevoked((id, effect) => told.push(`${id} ${effect}`));
    const user = accounts.people.addServiceUser('A', 'site/dev', true);
    const { record, token } = accounts.createCredential({
      account: 'A',
      ownerId: `service_${user.key}`,
      acl: [],
      description: 'd',
      metadata: '',
    });
    accounts.setServiceUserActive(user, false);
    expect(told).toEqual([`${record.id} ${when}`]);
    expect(codeOf(accounts, token)).toBe('ERR_NGROK_107');
    expect(accounts.mayBind(record.id, target)?.code ?? null).toBe(bindCode);
    accounts.setServiceUserActive(user, true);
    expect(codeOf(accounts, token)).toBeNull();
    expect(accounts.mayBind(record.id, target)).toBeNull();
  });
});

test('deletes the credentials of a deleted service user and nobody else’s', () => {
  const accounts = setUp();
  const user = accounts.people.addServiceUser('A', 'one', true);
  const given = { account: 'A', acl: [], description: '', metadata: '' };
  const his = accounts.createCredential({ ...given, ownerId: `service_${user.key}` });
  const other = accounts.createCredential({ ...given, ownerId: accounts.people.admin('A').id });
  accounts.deleteServiceUser(user);
  expect(codeOf(accounts, his.token)).toBe('ERR_NGROK_107');
  expect(codeOf(accounts, other.token)).toBeNull();
  expect(accounts.credentials('A').map((record) => record.id)).toEqual([other.record.id]);
});

test('finds owners by id, address and both spellings of a service user, inside the account only', () => {
  const { people } = setUp();
  const user = people.addServiceUser('A', 'one', true);
  const id = `service_${user.key}`;
  expect(people.find('A', id)?.id).toBe(id);
  expect(people.find('A', `bot_${user.key}`)?.id).toBe(id);
  expect(people.find('B', id)).toBeNull();
  expect(people.find('A', 'admin@a.test')).toEqual(people.admin('A'));
  expect(people.find('A', people.admin('B').id)).toBeNull();
});

test('keeps no token in what it hands out', () => {
  const accounts = setUp();
  accounts.setToken('a very secret token', { name: 'n' });
  expect(JSON.stringify(accounts.credentials('A'))).not.toContain('secret token');
});
