import type { EdgeSession } from '../contract.ts';
import type { EdgeEvents } from '../edge/events.ts';
import type { EventLog } from './event-log.ts';
import { timeText } from './time-text.ts';

const view = (session: EdgeSession): Record<string, unknown> => ({
  session: { id: session.id },
  credential: { id: session.credential.id },
  agent_ip: session.remoteAddr.replace(/:\d+$/, ''),
  region: 'local',
  user_agent: session.clientInfo,
  metadata: session.metadata,
  os: session.os,
  started_at: timeText(session.startedAtMs),
});

/** Notes the starts and stops of agent sessions. A session that is continued has not stopped. */
export const recordSessions = (edge: EdgeEvents, log: EventLog): void => {
  edge.on('session-opened', (session, { resumed }) => {
    if (resumed) return;
    const { account, ownerId } = session.credential;
    log.record({ type: 'agent_session_start.v0', account, principal: ownerId, object: view(session) });
  });
  edge.on('session-closed', (session, { superseded, reason }) => {
    if (superseded) return;
    const { account, ownerId } = session.credential;
    const object = { ...view(session), error: reason };
    log.record({ type: 'agent_session_stop.v0', account, principal: ownerId, object });
  });
};
