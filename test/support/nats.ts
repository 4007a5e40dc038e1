import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { adapt, docBlock } from './broker-docs.ts';
import { type BrokerMaker, DEVICES, PASSWORD, restartable } from './broker-rig.ts';
import { freePort } from './free-port.ts';
import { spawnProgram } from './spawn-node.ts';

const NATS = '/usr/sbin/nats-server';
/** The documented device, with its brackets. */
const DEVICE_BLOCK = /^ +\{ user: press-7,[\s\S]*?^ +\} \}\n/m;

/** Debian's NATS server with the documented settings. */
export const nats: BrokerMaker = async (dir) => {
  const port = await freePort();
  const documented = adapt(await docBlock('brokers.md', 'nats'), {
    '127.0.0.1:4222': `127.0.0.1:${await freePort()}`,
    '0.0.0.0:1883': `127.0.0.1:${port}`,
    '/var/lib/nats': join(dir, 'store'),
    $OPERATOR: JSON.stringify(PASSWORD),
    $PRESS_7: JSON.stringify(PASSWORD),
  });
  const device = DEVICE_BLOCK.exec(documented)?.[0];
  if (device === undefined) throw new Error('the documented settings name no device');
  const everyone = DEVICES.map((id) => device.replaceAll('press-7', id)).join('');
  const configFile = join(dir, 'nats.conf');
  await writeFile(
    configFile,
    documented.replace(DEVICE_BLOCK, () => everyone),
  );

  const { start, crash, stderr } = restartable(
    () => spawnProgram(NATS, ['-c', configFile], { autoKill: false }),
    (started) => started.line('Server is ready'),
  );
  return { port, start, log: stderr, crash, end: crash };
};
