/** The yardstick: the SDK alone, forwarding straight to the upstream. Arguments: edge, CA file, token file, name, upstream. */
import { readFile } from 'node:fs/promises';
import { SessionBuilder } from '@ngrok/ngrok';

const [edge = '', caFile = '', tokenFile = '', name = '', upstream = ''] = process.argv.slice(2);
const token = (await readFile(tokenFile, 'utf8')).trim();
const session = await new SessionBuilder()
  .authtoken(token)
  .serverAddr(edge)
  .caCert(await readFile(caFile))
  .handleDisconnection(() => true)
  .connect();
const listener = await session.httpEndpoint().domain(name).listenAndForward(upstream);
process.stdout.write(`${listener.url() ?? ''}\n`);
setInterval(() => undefined, 60_000);
