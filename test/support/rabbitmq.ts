import { createHash, randomBytes } from 'node:crypto';
import { readdir, realpath, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { adapt, docBlock } from './broker-docs.ts';
import { type BrokerMaker, DEVICES, PASSWORD, placeServerCertificate, restartable } from './broker-rig.ts';
import { freePort } from './free-port.ts';
import { spawnProgram } from './spawn-node.ts';
import { waitFor } from './wait-for.ts';

/** Debian's programs in PATH change the user; the ones that they call do not. */
const LIB_DIR = '/usr/lib/rabbitmq/lib';

/** As `rabbitmqctl hash_password` writes it: a salt of four bytes, and SHA-256 over salt and password. */
const passwordHash = (): string => {
  const salt = randomBytes(4);
  return Buffer.concat([salt, createHash('sha256').update(salt).update(PASSWORD).digest()]).toString(
    'base64',
  );
};

type Definitions = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

/** The documented definitions, with the documented device as often as there are devices. */
const definitions = (documented: string): string => {
  const forAll = Object.entries(JSON.parse(documented) as Definitions).map(([section, entries]) => [
    section,
    entries.flatMap((entry) => {
      const text = JSON.stringify(
        'password_hash' in entry ? { ...entry, password_hash: passwordHash() } : entry,
      );
      const all = text.includes('press-7') ? DEVICES.map((id) => text.replaceAll('press-7', id)) : [text];
      return all.map((one) => JSON.parse(one) as unknown);
    }),
  ]);
  return JSON.stringify(Object.fromEntries(forAll));
};

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });

/** Debian's RabbitMQ with its MQTT plugin and the documented settings, as the current user, with a port mapper of its own. */
export const rabbitmq: BrokerMaker = async (dir) => {
  const [version] = await readdir(LIB_DIR);
  const program = await realpath(join(LIB_DIR, version ?? '', 'sbin', 'rabbitmq-server'));
  const [port, tlsPort, mapperPort, nodePort] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const { caFile, certFile, keyFile } = await placeServerCertificate(dir);
  const configFile = join(dir, 'rabbitmq.conf');
  const definitionsFile = join(dir, 'definitions.json');
  const pluginsFile = join(dir, 'plugins');
  await writeFile(
    configFile,
    `${adapt(await docBlock('brokers.md', 'rabbitmq'), {
      'tcp.default = 1883': `tcp.default = 127.0.0.1:${port}`,
      '/etc/rabbitmq/definitions.json': definitionsFile,
    })}${adapt(await docBlock('brokers.md', 'rabbitmq-tls'), {
      'ssl.default = 8883': `ssl.default = 127.0.0.1:${tlsPort}`,
      '/etc/rabbitmq/server.pem': certFile,
      '/etc/rabbitmq/server.key': keyFile,
    })}log.console = true\nlog.file = false\ndistribution.listener.interface = 127.0.0.1\n`,
  );
  await writeFile(definitionsFile, definitions(await docBlock('brokers.md', 'rabbitmq-definitions')));
  await writeFile(pluginsFile, '[rabbitmq_mqtt].\n');
  const env = {
    HOME: dir,
    ERL_EPMD_PORT: String(mapperPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `lk-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(nodePort),
    RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(dir, 'generated'),
    RABBITMQ_CONFIG_FILE: configFile,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ADVANCED_CONFIG_FILE: join(dir, 'none'),
    RABBITMQ_ENABLED_PLUGINS_FILE: pluginsFile,
    // As under systemd: the starting shell becomes the broker, so that its id is known.
    NOTIFY_SOCKET: join(dir, 'notify'),
    // One scheduler that sleeps when there is nothing to do: the tests share the machine.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none',
  };
  // Erlang would start one that outlives it.
  const mapper = spawnProgram('epmd', ['-port', String(mapperPort), '-address', '127.0.0.1'], {
    autoKill: false,
  });
  await waitFor(() => isOpen(mapperPort), { what: 'the port mapper' });

  const { start, crash, stdout } = restartable(
    () => spawnProgram(program, [], { env, autoKill: false }),
    (started) => started.line('Server startup complete', 50_000),
  );
  return {
    port,
    tls: { port: tlsPort, caFile },
    start,
    log: stdout,
    crash,
    end: async () => {
      await crash();
      mapper.kill('SIGKILL');
      await mapper.exit;
    },
  };
};
