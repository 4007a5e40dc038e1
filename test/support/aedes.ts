import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Aedes, type AedesOptions, type Client } from 'aedes';
import { onTestFinished } from 'vitest';
import { type BrokerMaker, DEVICES, OPERATOR, PASSWORD } from './broker-rig.ts';

const BAD_CREDENTIALS = 4;
const OWN_READ = /^lk1\/acme\/(?:d\/([^/]+)\/(?:desired|presence|cmd\/\+)|g\/[^/]+\/cmd\/\+)$/;
const OWN_WRITE = /^lk1\/acme\/d\/([^/]+)\/(?:res\/[^/]+|event\/[^/]+|reported|health|presence|hello)$/;

/** An MQTT 3.1.1 broker in this process, on a free loopback port; it ends with the test. */
export const startAedes = async (
  options: AedesOptions = {},
): Promise<{ readonly aedes: Aedes; readonly url: string; readonly connects: string[] }> => {
  const aedes = await Aedes.createBroker(options);
  const server = createServer(aedes.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connects: string[] = [];
  aedes.on('client', (client) => connects.push(client.id));
  onTestFinished(async () => {
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    await new Promise((resolve) => server.close(resolve));
  });
  return { aedes, url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, connects };
};

/** The same rights in code, since it has no settings: a denied filter is refused in SUBACK, a denied publish ends the connection. */
const createAccess = (): AedesOptions => {
  const users = new WeakMap<Client, string>();
  const may = (client: Client | null, rule: RegExp, topic: string): boolean => {
    // Wills of clients that are gone come without a client.
    const user = client === null ? OPERATOR : (users.get(client) ?? '');
    const match = rule.exec(topic);
    return user === OPERATOR || (match !== null && (match[1] === undefined || match[1] === user));
  };
  return {
    authenticate: (client, user, password, done) => {
      const isKnown = user === OPERATOR || DEVICES.includes(user ?? '');
      if (isKnown && password?.toString() === PASSWORD) {
        users.set(client, user ?? '');
        done(null, true);
      } else done(Object.assign(new Error('bad login'), { returnCode: BAD_CREDENTIALS }), false);
    },
    authorizeSubscribe: (client, sub, done) => done(null, may(client, OWN_READ, sub.topic) ? sub : null),
    authorizePublish: (client, packet, done) =>
      done(may(client, OWN_WRITE, packet.topic) ? null : new Error('not yours')),
  };
};

/** aedes with the rights of docs/brokers.md; a crash takes all that it held in memory. */
export const aedes: BrokerMaker = async () => {
  let port = 0;
  let broker: Aedes | undefined;
  let server: Server | undefined;
  const sockets = new Set<Socket>();
  const start = async (): Promise<void> => {
    const started = await Aedes.createBroker(createAccess());
    broker = started;
    server = createServer((socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      started.handle(socket);
    });
    const listening = server;
    await new Promise<void>((resolve) => listening.listen(port, '127.0.0.1', resolve));
    port = (listening.address() as AddressInfo).port;
  };
  const crash = async (): Promise<void> => {
    const [old, door] = [broker, server];
    if (old === undefined || door === undefined) return;
    [broker, server] = [undefined, undefined];
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => door.close(resolve));
    await new Promise<void>((resolve) => old.close(() => resolve()));
  };
  await start();
  return {
    tls: null,
    get port() {
      return port;
    },
    start: async () => {
      if (broker === undefined) await start();
    },
    log: () => '',
    crash,
    end: crash,
  };
};
