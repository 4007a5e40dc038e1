/** The edge during swaps: answers that no state of the sandbox leads to, and what it saw. */
import type { Refusal } from '../../src/sandbox/contract.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';

/** Makes the edge accept or refuse `authtoken` as `answer` says, at the moment it is asked: null lets it through. */
export const answerToken = (
  { accounts }: Sandbox,
  authtoken: string,
  at: 'auth' | 'bind',
  answer: () => Refusal | null,
): void => {
  const { id } = accounts.setToken(authtoken);
  const { authenticate, mayBind } = accounts;
  if (at === 'auth')
    Object.assign(accounts, {
      authenticate: (token: string) => (token === authtoken ? answer() : null) ?? authenticate(token),
    });
  else
    Object.assign(accounts, {
      mayBind: (...asked: Parameters<typeof mayBind>) =>
        (asked[0] === id ? answer() : null) ?? mayBind(...asked),
    });
};

/** How often each token was shown at the door, from now on; a token that was never shown counts 0. */
export const countDials = ({ accounts }: Sandbox): ((authtoken: string) => number) => {
  const counts = new Map<string, number>();
  const { authenticate } = accounts;
  Object.assign(accounts, {
    authenticate: (token: string) => {
      counts.set(token, (counts.get(token) ?? 0) + 1);
      return authenticate(token);
    },
  });
  return (authtoken) => counts.get(authtoken) ?? 0;
};

/** Names of the tokens with a session, joined: one name once a swap is over. */
export const sessionsOf = (sandbox: Sandbox): string =>
  sandbox
    .state()
    .sessions.map((s) => s.authtokenName)
    .join();
