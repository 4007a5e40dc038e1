import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { adapt, docBlock } from './broker-docs.ts';
import { type BrokerMaker, DEVICES, PASSWORD, placeServerCertificate, restartable } from './broker-rig.ts';
import { freePort } from './free-port.ts';
import { spawnProgram } from './spawn-node.ts';

const NATS = '/usr/sbin/nats-server';
/** The documented device, with its brackets. */
const DEVICE_BLOCK = /^ +\{ user: press-7,[\s\S]*?^ +\} \}\n/m;

const MQTT_LINE = 'mqtt { listen: 0.0.0.0:1883 }\n';

/** One server with the documented settings, and this listener for MQTT; `name` is for its files. */
const server = async (dir: string, name: string, mqtt: string) => {
  const documented = adapt(await docBlock('brokers.md', 'nats'), {
    [MQTT_LINE]: mqtt,
    '127.0.0.1:4222': `127.0.0.1:${await freePort()}`,
    '/var/lib/nats': join(dir, `${name}-store`),
    $OPERATOR: JSON.stringify(PASSWORD),
    $PRESS_7: JSON.stringify(PASSWORD),
  });
  const device = DEVICE_BLOCK.exec(documented)?.[0];
  if (device === undefined) throw new Error('the documented settings name no device');
  const everyone = DEVICES.map((id) => device.replaceAll('press-7', id)).join('');
  const configFile = join(dir, `${name}.conf`);
  await writeFile(
    configFile,
    documented.replace(DEVICE_BLOCK, () => everyone),
  );

  return restartable(
    () => spawnProgram(NATS, ['-c', configFile], { autoKill: false }),
    (started) => started.line('Server is ready'),
  );
};

/** Debian's NATS server with the documented settings, and another one with TLS: a server has one listener for MQTT. */
export const nats: BrokerMaker = async (dir) => {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const { caFile, certFile, keyFile } = await placeServerCertificate(dir);
  const { start, crash, stderr } = await server(
    dir,
    'plain',
    adapt(MQTT_LINE, { '0.0.0.0:1883': `127.0.0.1:${port}` }),
  );
  const secure = await server(
    dir,
    'tls',
    adapt(await docBlock('brokers.md', 'nats-tls'), {
      '0.0.0.0:8883': `127.0.0.1:${tlsPort}`,
      '/etc/nats/server.pem': certFile,
      '/etc/nats/server.key': keyFile,
    }),
  );
  await secure.start();
  return {
    port,
    tls: { port: tlsPort, caFile },
    start,
    log: stderr,
    crash,
    end: async () => {
      await crash();
      await secure.crash();
    },
  };
};
