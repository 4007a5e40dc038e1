/** The tour itself: cloud commands and accidents, each with what a visitor of the public URL sees of it. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ResultMessage } from '../protocol/result-schema.ts';
import type { Narrator } from './narrator.ts';
import type { DeviceStatus, Stage } from './stage.ts';
import { type Crowd, lostOf, type Tally } from './visitors.ts';

const OUTAGE_MS = 3000;
const BACK_MS = 15_000;
const CROWD = 20;
/** Traffic before and after a swap, so that the swap stands in the middle of it. */
const AROUND_SWAP_MS = 1000;
const LEASE_S = 600;
const LONGER_LEASE_S = 900;

/** Figures for the last line. */
export interface TourFigures {
  readonly served: number;
  readonly lost: number;
}

const must = (holds: boolean, otherwise: string): void => {
  if (!holds) throw new Error(otherwise);
};

const mustBe = (result: ResultMessage, status: ResultMessage['status'], code?: string): void => {
  const { status: seen, code: seenCode, msg } = result;
  const isAsWanted = seen === status && (code === undefined || seenCode === code);
  must(isAsWanted, `${result.op} ended as ${seen} ${seenCode ?? ''} ${msg ?? ''}`.trim());
};

const web = ({ endpoints }: DeviceStatus): DeviceStatus['endpoints'][number] => {
  const endpoint = endpoints.find(({ name }) => name === 'web');
  if (endpoint === undefined) throw new Error('the device does not know its endpoint "web"');
  return endpoint;
};

const nothingLost = (tally: Tally): string => {
  const lost = lostOf(tally);
  const kinds = Object.entries(tally.lost).map(([what, n]) => `${n} × ${what}`);
  must(lost === 0, `${lost} of ${lost + tally.served} requests were lost (${kinds.join(', ')})`);
  return `${tally.served} requests served, 0 dropped`;
};

/** Runs `work` in the middle of a crowd's traffic and gives back what the crowd saw. */
const amid = async (crowd: Crowd, work: () => Promise<void>): Promise<Tally> => {
  try {
    await delay(AROUND_SWAP_MS);
    await work();
    await delay(AROUND_SWAP_MS);
  } finally {
    await crowd.leave();
  }
  return crowd.tally();
};

const makeToken = (): string => `demo_${randomBytes(18).toString('base64url')}`;

const everyday = async ({ step }: Narrator, stage: Stage): Promise<void> => {
  const { operator, visitors } = stage;
  await step('before', async () => {
    const { status, ms } = await visitors.visit();
    must(status === 404, `the URL answers ${status} before anything was started`);
    return { text: `a visitor gets 404: the endpoint is off until it is asked for`, ms };
  });
  await step('start', async () => {
    mustBe(await operator.send('start', { ep: 'web', lease_s: LEASE_S }), 'succeeded');
    const { url, state } = web(await stage.status());
    must(state === 'up', `the endpoint is ${state}`);
    return `a signed MQTT command opens ${url} for ${LEASE_S / 60} minutes`;
  });
  await step('request', async () => {
    const { status, body, ms } = await visitors.visit();
    must(status === 200, `the URL answers ${status}`);
    return { text: `a visitor gets ${status} "${body.trim()}" through the tunnel`, ms };
  });
};

const accidents = async ({ step }: Narrator, stage: Stage): Promise<void> => {
  const { sandbox, visitors } = stage;
  await step('edge gone', async () => {
    await sandbox.edge.faults.refuse(true);
    sandbox.edge.faults.drop('rst');
    await delay(OUTAGE_MS);
    const { status } = await visitors.visit();
    must(status !== 200, 'the edge is gone and a visitor is served');
    await sandbox.edge.faults.refuse(false);
    const ms = await visitors.untilServed(BACK_MS);
    return {
      text: `every session cut, edge unreachable for ${OUTAGE_MS / 1000} s; served again so long after its return`,
      ms,
    };
  });
  await step('kill -9', async () => {
    const before = await stage.status();
    const [tunnel] = before.tunnels;
    if (tunnel === undefined) throw new Error('there is no tunnel process');
    const startedAt = performance.now();
    process.kill(tunnel.pid, 'SIGKILL');
    // The edge may serve one more request before it sees the connection end.
    while ((await stage.status()).tunnels.some(({ pid }) => pid === tunnel.pid)) await delay(20);
    await visitors.untilServed(BACK_MS);
    const ms = performance.now() - startedAt;
    return { text: `the tunnel process (pid ${tunnel.pid}) is killed; served again by a new one`, ms };
  });
};

const rekeys = async ({ step }: Narrator, stage: Stage): Promise<TourFigures> => {
  const { sandbox, operator, visitors } = stage;
  let served = 0;
  const next = makeToken();
  await step('rekey', async () => {
    sandbox.accounts.setToken(next, { name: 'second' });
    let ms = 0;
    const tally = await amid(visitors.crowd(CROWD), async () => {
      const startedAt = performance.now();
      mustBe(await operator.rekey(next), 'succeeded');
      ms = performance.now() - startedAt;
    });
    must((await stage.status()).session.generation === 2, 'the new authtoken is not in use');
    served += tally.served;
    return {
      text: `new authtoken, sealed to the device, under ${CROWD} busy clients: ${nothingLost(tally)}`,
      ms,
    };
  });
  await step('revoke', async () => {
    sandbox.accounts.revokeToken(sandbox.authtokens['default'] ?? '', 'at-once');
    const tally = await amid(visitors.crowd(CROWD), () => delay(0));
    served += tally.served;
    return `the old authtoken is deleted at the edge; ${nothingLost(tally)}`;
  });
  await step('roll back', async () => {
    let ms = 0;
    const tally = await amid(visitors.crowd(CROWD), async () => {
      const startedAt = performance.now();
      mustBe(await operator.rekey(makeToken()), 'failed', 'NGROK_AUTH_REFUSED');
      ms = performance.now() - startedAt;
    });
    must((await stage.status()).session.generation === 2, 'the good authtoken was given up');
    served += tally.served;
    return {
      text: `an authtoken that the edge refuses: NGROK_AUTH_REFUSED, the good one stays; ${nothingLost(tally)}`,
      ms,
    };
  });
  return { served, lost: 0 };
};

const lastThings = async ({ step }: Narrator, stage: Stage): Promise<void> => {
  const { operator, visitors } = stage;
  await step('lease', async () => {
    mustBe(await operator.send('start', { ep: 'web', lease_s: LONGER_LEASE_S }), 'succeeded');
    const { leaseEndsAt } = web(await stage.status());
    must(leaseEndsAt !== null, 'there is no lease');
    const leftS = (Date.parse(leaseEndsAt ?? '') - Date.now()) / 1000;
    must(leftS > LEASE_S && leftS <= LONGER_LEASE_S + 1, `the lease has ${Math.round(leftS)} s left`);
    return `start again only extends it: the endpoint closes by itself in ${Math.round(leftS / 60)} minutes`;
  });
  await step('stop', async () => {
    mustBe(await operator.send('stop', { ep: 'web' }), 'succeeded');
    const { status } = await visitors.visit();
    must(status === 404, `the URL answers ${status} after the stop`);
    return 'the endpoint is closed and the session ended; a visitor gets 404';
  });
};

/** Walks through everything; rejects at the first thing that is not as it should be. */
export const runTour = async (narrator: Narrator, stage: Stage): Promise<TourFigures> => {
  await everyday(narrator, stage);
  await accidents(narrator, stage);
  const figures = await rekeys(narrator, stage);
  await lastThings(narrator, stage);
  return figures;
};

/** The daemon's end: SIGTERM, exit code 0, no session left at the edge. */
export const endDevice = ({ step }: Narrator, stage: Stage): Promise<void> =>
  step('end', async () => {
    const code = await stage.device.stop();
    must(code === 0, `lockkeeperd ended with ${code ?? 'a signal'}`);
    must(stage.sandbox.edge.sessions.size === 0, 'a session is left at the edge');
    return 'SIGTERM: lockkeeperd drains and exits with 0, nothing is left behind';
  });
