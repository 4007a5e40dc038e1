/**
 * A process that holds the real SDK and does what its parent asks over IPC: one `{id, op, …}` message, one
 * `{id, value}` or `{id, error}` answer; callbacks of the SDK come as `{event, …}`. The SDK must not be loaded by the
 * test process itself.
 */
import { loggingCallback, SessionBuilder } from '@ngrok/ngrok';

/** Sessions and listeners by the name that the parent gave. */
const sessions = new Map();
const listeners = new Map();

const tell = (event, fields = {}) => process.send?.({ event, ...fields });

const builderOf = ({
  serverAddr,
  caPem,
  rootCas,
  authtoken,
  metadata,
  heartbeatS,
  toleranceS,
  handlers,
  client,
}) => {
  const builder = new SessionBuilder().serverAddr(serverAddr);
  if (caPem) builder.caCert(Buffer.from(caPem));
  if (rootCas) builder.rootCas(rootCas);
  if (authtoken !== undefined) builder.authtoken(authtoken);
  if (metadata) builder.metadata(metadata);
  if (heartbeatS) builder.heartbeatInterval(heartbeatS);
  if (toleranceS) builder.heartbeatTolerance(toleranceS);
  if (client) builder.clientInfo(...client);
  if (handlers) {
    builder.handleStopCommand(() => void tell('stop'));
    builder.handleRestartCommand(() => void tell('restart'));
    builder.handleUpdateCommand(({ version, permitMajorVersion }) => {
      tell('update', { update: { version, permitMajorVersion } });
    });
  }
  builder.handleHeartbeat((latencyMs) => void tell('beat', { latencyMs }));
  builder.handleDisconnection((_addr, error) => {
    tell('disconnect', { error });
    return true;
  });
  return builder;
};

const PROTOS = { http: 'httpEndpoint', tcp: 'tcpEndpoint', tls: 'tlsEndpoint' };

/** `calls` are builder methods with their arguments, as `[['domain', 'a.edge.test']]`. */
const listenerBuilder = ({ session, proto, calls = [] }) => {
  const builder = sessions.get(session)[PROTOS[proto]]();
  for (const [method, ...args] of calls) {
    builder[method](...args.map((arg) => (arg?.pem === undefined ? arg : Buffer.from(arg.pem))));
  }
  return builder;
};

const ops = {
  connect: async (ask) => {
    const session = await builderOf(ask).connect();
    sessions.set(ask.session ?? 'main', session);
    return null;
  },
  bind: async (ask) => {
    const listener = await listenerBuilder({ session: 'main', ...ask }).listenAndForward(ask.to);
    listeners.set(ask.name, listener);
    listener.join().then(
      () => tell('joined', { name: ask.name, error: null }),
      (error) => tell('joined', { name: ask.name, error: String(error.message ?? error) }),
    );
    return { id: listener.id(), url: listener.url() };
  },
  /** A listener that nobody accepts connections from. */
  listen: async (ask) => {
    const listener = await listenerBuilder({ session: 'main', ...ask }).listen(false);
    listeners.set(ask.name, listener);
    return { id: listener.id(), url: listener.url() };
  },
  close: (ask) =>
    listeners
      .get(ask.name)
      .close()
      .then(() => null),
  closeSession: (ask) =>
    sessions
      .get(ask.session ?? 'main')
      .close()
      .then(() => null),
  url: async (ask) => listeners.get(ask.name).url(),
  exit: () => process.exit(0),
};

process.on('message', async (ask) => {
  try {
    process.send?.({ id: ask.id, value: await ops[ask.op](ask) });
  } catch (error) {
    process.send?.({ id: ask.id, error: { message: error.message, errorCode: error.errorCode ?? null } });
  }
});
process.on('disconnect', () => process.exit(0));
loggingCallback((level, target, text) => void tell('log', { level, target, text }), 'INFO');
tell('ready');
