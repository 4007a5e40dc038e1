/** Whether the device does what it should now. */
import type { StatusDocument } from '../daemon/status.ts';

/** What is missing, as one line; null when nothing is. A session that nobody needs is not missed. */
export const readiness = ({ session }: Pick<StatusDocument, 'session'>): string | null =>
  session.state === 'connected' || session.state === 'stopped'
    ? null
    : `no session to ngrok's edge: ${session.state}`;
