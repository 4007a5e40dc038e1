/** Opens an edge, has an agent connected, a connection in its handshake and a bound tcp port, and closes it all. */
import net from 'node:net';
import { systemClock } from '../../src/core/clock.ts';
import { createAccounts } from '../../src/sandbox/api/accounts.ts';
import {
  createCertificateAuthority,
  issueEdgeCertificate,
  issueFrontCertificate,
} from '../../src/sandbox/certificates.ts';
import { createEdge } from '../../src/sandbox/edge/edge.ts';
import { createFrontEnd } from '../../src/sandbox/front/front-end.ts';
import { startSdkAgent } from './sdk-agent.ts';

const authority = await createCertificateAuthority(systemClock.wall());
const accounts = createAccounts(systemClock);
accounts.setToken('tok');
const front = await createFrontEnd({
  host: '127.0.0.1',
  domain: 'edge.test',
  edge: () => edge,
  certificates: await issueFrontCertificate(authority, 'edge.test'),
  clock: systemClock,
  random: systemClock.random,
});
const edge = await createEdge({
  host: '127.0.0.1',
  port: 0,
  domain: 'edge.test',
  tls: await issueEdgeCertificate(authority),
  accounts,
  frontEnd: () => front,
  clock: systemClock,
  settings: { graceMs: 600_000 },
});
const agent = await startSdkAgent();
await agent.connect({ serverAddr: edge.addr, caPem: authority.cert, authtoken: 'tok' });
await agent.bind({ name: 'tcp', proto: 'tcp', to: 'tcp://127.0.0.1:9' });
await agent.bind({ name: 'web', proto: 'http', to: 'http://127.0.0.1:9' });
const handshake = net.connect(Number(edge.addr.split(':')[1]), '127.0.0.1');
handshake.on('error', () => undefined);
await new Promise((resolve) => handshake.once('connect', resolve));
edge.faults.silence(true);
edge.faults.delay(600_000);
// An RPC whose answer would only come in ten minutes.
void agent.close('web').catch(() => undefined);
edge.faults.silence(false);
await edge.close();
await front.close();
await agent.kill();
process.stdout.write('closed\n');
