/** `/tunnel_sessions`: agents that are connected now, and commands to them. */
import type { EdgeSession } from '../../contract.ts';
import { crudRoutes } from '../crud.ts';
import { type ProblemName, problem } from '../problems.ts';
import { done, type Route, type Shown } from '../route.ts';
import { timeText } from '../time-text.ts';
import { ref, type World } from '../world.ts';

const PATH = 'tunnel_sessions';
type Op = 'stop' | 'restart' | 'update';

const REFUSALS: { readonly [O in Op]: { readonly unsupported: ProblemName; readonly failed: ProblemName } } =
  {
    stop: { unsupported: 'stopUnsupported', failed: 'stopFailed' },
    restart: { unsupported: 'restartUnsupported', failed: 'restartFailed' },
    update: { unsupported: 'updateUnsupported', failed: 'updateFailed' },
  };

export const tunnelSessionRoutes = (world: World): readonly Route[] => {
  const show = (session: EdgeSession): Shown => ({
    id: session.id,
    uri: world.uri(PATH, session.id),
    agent_version: session.agentVersion,
    credential: ref(world, 'credentials', session.credential.id),
    ip: session.remoteAddr.replace(/:\d+$/, ''),
    metadata: session.metadata,
    os: session.os,
    region: 'local',
    started_at: timeText(session.startedAtMs),
    transport: 'ngrok/3',
  });

  const action = (op: Op): Route => ({
    method: 'POST',
    path: `${PATH}/:id/${op}`,
    body: { fields: {}, at: 'create' },
    query: [],
    idPrefix: 'ts',
    run: async ({ caller, params }) => {
      const session = world.edge.sessions.get(params['id'] ?? '');
      if (session?.credential.account !== caller.account) return problem('noRoute');
      const reason = session.unsupported[op];
      if (reason !== '') return problem(REFUSALS[op].unsupported, { agent: reason });
      try {
        const error = await session.command(
          op,
          op === 'update' ? { version: '', permitMajor: false } : undefined,
        );
        return error === null ? done : problem(REFUSALS[op].failed, { agent: error });
      } catch {
        return problem('agentLost');
      }
    },
  });

  return [
    ...crudRoutes(world, {
      path: PATH,
      listKey: PATH,
      idPrefix: 'ts',
      fields: {},
      filterable: ['id', 'metadata', 'agent_version', 'ip', 'os', 'region', 'started_at', 'credential'],
      emptyPatch: null,
      list: (caller) =>
        [...world.edge.sessions.values()]
          .filter((session) => session.credential.account === caller.account)
          .sort((a, b) => (a.id < b.id ? 1 : -1))
          .map((session) => ({ id: session.id, shown: show(session) })),
    }),
    action('stop'),
    action('restart'),
    action('update'),
  ];
};
