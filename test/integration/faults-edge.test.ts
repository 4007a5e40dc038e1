/** The way to the edge: certificates that are not right, and a path that swallows everything in mid-traffic. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Finding } from '../../src/doctor/finding.ts';
import { ALWAYS_ON, type Device, startDevice, stateOf } from '../support/device.ts';
import { faultBroker } from '../support/fault-broker.ts';
import { makeEdgeCertificates, openTlsFront } from '../support/fault-edge-tls.ts';
import { openPath } from '../support/path-fault.ts';
import { runNode } from '../support/spawn-node.ts';
import { waitFor } from '../support/wait-for.ts';

/** What the doctor finds wrong with the edge. */
const doctorOnEdge = async (device: Device): Promise<string | undefined> => {
  const { stdout } = await runNode('src/lockkeeper.ts', ['doctor', '--json', '--config', device.configFile]);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  return findings.find(({ check, severity }) => check === 'edge' && severity === 'error')?.code;
};

const isServed = async (device: Device): Promise<boolean> => (await device.visit()).status === 200;

test('certificates that are not right are named and tried again at the usual pace; a path that goes dead in mid-traffic is left and found again', async () => {
  const device = await startDevice({ start: false, brokerUrl: (await faultBroker()).url });
  const { line } = device.sandbox;
  const certificates = await makeEdgeCertificates();
  const front = await openTlsFront(Number(line.edge.addr.split(':')[1]), certificates.notYet);
  const path = await openPath(front.port);
  const caFile = join(device.dir, 'edge-cas.pem');
  await writeFile(caFile, certificates.cas);
  await device.writeConfig({
    ...ALWAYS_ON,
    ngrok: {
      authtokenFile: device.tokenFile,
      serverAddr: `localhost:${path.port}`,
      caFile,
      heartbeatIntervalS: 1,
      heartbeatToleranceS: 2,
    },
  });
  await device.start();
  const refusals = (): number => device.log().split('session refused').length - 1;
  for (const [name, finding] of [
    ['notYet', 'CLOCK_BEHIND'],
    ['over', 'CERT_EXPIRED'],
    ['otherName', 'CERT_NAME'],
    ['proxy', 'TLS_INTERCEPTED'],
  ] as const) {
    front.show(certificates[name]);
    expect(await doctorOnEdge(device), name).toBe(finding);
    const before = refusals();
    // Not once an hour: all of these may be right at any moment.
    await waitFor(() => refusals() > before, { what: `another try at ${name}`, deadlineMs: 30_000 });
    const { session } = await device.status();
    expect(session.state, name).toBe('connecting');
    expect(session.lastError, name).toMatchObject({
      code: 'NGROK_NET',
      message: expect.stringContaining('certificate'),
    });
  }
  const { conditions } = await device.until(
    (s) => s.conditions.some((c) => c.code === 'EDGE_UNREACHABLE'),
    'the condition stands',
  );
  const told = conditions.find((c) => c.code === 'EDGE_UNREACHABLE')?.message;
  expect(told).toContain('certificate');
  expect(told).toContain('clock');
  front.show(certificates.good);
  await waitFor(() => isServed(device), { what: 'service with the right certificate' });
  await device.until(
    (s) => s.conditions.every((c) => c.code !== 'EDGE_UNREACHABLE'),
    'the condition is gone',
  );

  const visitors = device.load(5);
  await waitFor(() => visitors.good() > 20, { what: 'traffic' });
  path.mode('hole');
  path.freeze();
  await device.until((s) => s.session.state !== 'connected', 'the silence is noticed', 30_000);
  path.mode('pass');
  await waitFor(() => isServed(device), { what: 'service after the path answers again', deadlineMs: 30_000 });
  const good = visitors.good();
  await waitFor(() => visitors.good() > good + 20, { what: 'traffic again', deadlineMs: 30_000 });
  // Each visitor has had an answer, the ones whose request was swallowed too.
  await visitors.stop();
  await device.until((s) => s.session.state === 'connected' && stateOf(s) === 'up', 'all is up');
});
