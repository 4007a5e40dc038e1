/** The sandbox's MQTT broker: aedes (MQTT 3.1.1) on loopback, over TCP and over WebSocket, which can go down and come back. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Aedes, type AuthenticateError, type Client } from 'aedes';
import { createWebSocketStream, WebSocketServer } from 'ws';

/** Who may connect and what they may do; everything left out is allowed. Called for each packet. */
export interface BrokerAccess {
  readonly authenticate?: (
    username: string | undefined,
    password: string | undefined,
    clientId: string,
  ) => boolean;
  readonly mayPublish?: (clientId: string, topic: string, isRetained: boolean) => boolean;
  readonly maySubscribe?: (clientId: string, filter: string) => boolean;
}

export interface BrokerOptions extends BrokerAccess {
  /** 0, the default, takes any free port. */
  readonly port?: number;
  /** Also listens for MQTT over WebSocket, on another port. */
  readonly websocket?: boolean;
}

export interface Broker {
  /** `mqtt://127.0.0.1:PORT`. */
  readonly url: string;
  /** `ws://127.0.0.1:PORT`, or null when there is no WebSocket listener. */
  readonly wsUrl: string | null;
  readonly isOn: boolean;
  /** Client ids that are connected now. */
  readonly clientIds: readonly string[];
  /**
   * Off: all clients are cut without a DISCONNECT and new connections refused. On: the same ports listen again.
   * Retained messages and persistent sessions live through it. Resolves once the ports are closed or open.
   */
  setOn(on: boolean): Promise<void>;
  /** Cuts one client's connection (its will is sent); false when it is not connected. */
  cut(clientId: string): boolean;
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
/** The MQTT return code "bad user name or password". */
const BAD_CREDENTIALS = 4;
/** aedes drops QoS 0 messages past its default of 42 for one client, which a burst in a test exceeds. */
const QUEUE_LIMIT = 1000;

/** A listener that can be closed with all its connections and opened again on the port it got first. */
interface Door {
  port: number;
  readonly server: Server | HttpServer;
  readonly sockets: Set<Socket>;
}

const makeDoor = (server: Server | HttpServer, port: number): Door => {
  const door: Door = { port, server, sockets: new Set() };
  server.on('connection', (socket: Socket) => {
    door.sockets.add(socket);
    socket.once('close', () => door.sockets.delete(socket));
    // A client that is cut is no event worth telling; aedes hears of it by itself.
    socket.on('error', () => undefined);
  });
  return door;
};

const openDoor = (door: Door): Promise<void> =>
  new Promise((resolve, reject) => {
    door.server.once('error', reject);
    door.server.listen(door.port, LOOPBACK, () => {
      door.server.off('error', reject);
      door.port = (door.server.address() as AddressInfo).port;
      resolve();
    });
  });

const closeDoor = (door: Door): Promise<void> =>
  new Promise((resolve) => {
    door.server.close(() => resolve());
    for (const socket of door.sockets) socket.resetAndDestroy();
  });

const authError = (): AuthenticateError =>
  Object.assign(new Error('bad user name or password'), { returnCode: BAD_CREDENTIALS });

/**
 * aedes takes `read(null)` for "all that is there" and waits for the next `readable` after it. Since Node 26 that call
 * gives the first chunk only, so a packet that came in pieces would never be finished.
 */
const readingAll = <S extends Duplex>(stream: S): S => {
  const read = stream.read.bind(stream);
  stream.read = (size?: number | null) => read(size ?? (stream.readableLength || undefined)) as unknown;
  return stream;
};

/** Listens before it resolves. */
export const startBroker = async (options: BrokerOptions = {}): Promise<Broker> => {
  const access = options;
  const clients = new Map<string, Client>();
  const aedes = await Aedes.createBroker({
    queueLimit: QUEUE_LIMIT,
    authenticate: (client, username, password, done) => {
      const isAllowed = access.authenticate?.(username, password?.toString('utf8'), client.id) ?? true;
      if (isAllowed) done(null, true);
      else done(authError(), false);
    },
    authorizePublish: (client, packet, done) => {
      const isAllowed =
        client === null || (access.mayPublish?.(client.id, packet.topic, packet.retain) ?? true);
      done(isAllowed ? null : new Error('publish not allowed'));
    },
    authorizeSubscribe: (client, subscription, done) => {
      const isAllowed = access.maySubscribe?.(client.id, subscription.topic) ?? true;
      done(null, isAllowed ? subscription : null);
    },
  });
  aedes.on('clientReady', (client) => clients.set(client.id, client));
  aedes.on('clientDisconnect', (client) => {
    if (clients.get(client.id) === client) clients.delete(client.id);
  });

  const tcp = makeDoor(
    createServer((socket) => void aedes.handle(readingAll(socket))),
    options.port ?? 0,
  );
  const doors = [tcp];
  if (options.websocket === true) {
    const http = createHttpServer((_request, response) => response.writeHead(426).end());
    const websockets = new WebSocketServer({
      server: http,
      handleProtocols: (names) => [...names][0] ?? false,
    });
    websockets.on('connection', (websocket, request) => {
      const stream = createWebSocketStream(websocket);
      stream.on('error', () => undefined);
      aedes.handle(readingAll(stream), request);
    });
    // ws passes the HTTP server's errors on; openDoor is who reports them.
    websockets.on('error', () => undefined);
    doors.push(makeDoor(http, 0));
  }
  await Promise.all(doors.map(openDoor));
  const ws = doors[1];

  let isOn = true;
  // One switch after the other, so that a quick off and on leaves the state that was asked for last.
  let turning: Promise<void> = Promise.resolve();
  const setOn = (on: boolean): Promise<void> => {
    const turn = async (): Promise<void> => {
      if (on === isOn) return;
      await Promise.all(doors.map(on ? openDoor : closeDoor));
      isOn = on;
    };
    turning = turning.then(turn, turn);
    return turning;
  };

  return {
    url: `mqtt://${LOOPBACK}:${tcp.port}`,
    wsUrl: ws ? `ws://${LOOPBACK}:${ws.port}` : null,
    get isOn() {
      return isOn;
    },
    get clientIds() {
      return [...clients.keys()];
    },
    setOn,
    cut: (clientId) => {
      const client = clients.get(clientId);
      client?.conn.destroy();
      return client !== undefined;
    },
    close: async () => {
      await setOn(false);
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
};
