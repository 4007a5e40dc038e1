import { expect, test } from 'vitest';
import {
  agentEndpoint,
  agentEndpoints,
  agentStatus,
  type EndpointFacts,
} from '../../../src/control/agent-api.ts';
import { endpointInStatus, statusDocumentOf } from '../../support/status-fixture.ts';

const FACTS: EndpointFacts = {
  upstreamUrl: (upstream) => (upstream === 'hmi' ? 'http://127.0.0.1:8080' : upstream),
  isPooled: (endpoint) => endpoint !== 'alone',
};
const SINCE = '2026-11-01T00:00:00.000Z';

test("an endpoint has the agent's fields: the upstream's address, and whether it is pooled", () => {
  const status = statusDocumentOf({
    endpoints: [
      endpointInStatus({ name: 'web', state: 'up', upstream: 'hmi' }),
      endpointInStatus({ name: 'alone', state: 'up', upstream: 'http://10.0.0.2:80' }),
      endpointInStatus({ name: 'shut', state: 'down', upstream: 'hmi' }),
    ],
  });
  expect(agentEndpoints(status, FACTS)).toMatchObject({
    uri: '/api/endpoints',
    endpoints: [
      { name: 'web', upstream: { url: 'http://127.0.0.1:8080' }, pooling_enabled: true },
      { name: 'alone', upstream: { url: 'http://10.0.0.2:80' }, pooling_enabled: false },
    ],
  });
  expect(agentEndpoint(status, 'shut', FACTS)).toBeNull();
});

test("an error has ngrok's code with its class, and the time at which the state began that it explains", () => {
  const fault = {
    code: 'NGROK_ACL_DENIED',
    message: 'The ACL does not cover it.',
    retryable: false,
    ngrokCode: 'ERR_NGROK_308',
  } as const;
  const status = statusDocumentOf({
    session: { ...statusDocumentOf().session, state: 'down', since: SINCE, lastError: fault },
  });
  expect(agentStatus(status)).toMatchObject({
    status: 'reconnecting',
    last_error: { code: 'ERR_NGROK_308', class: 'F-conf', at: SINCE },
  });
});

test('an error of our own has no class, and without an error there is null', () => {
  const fault = { code: 'DAEMON_UNREACHABLE', message: 'No answer.', retryable: true } as const;
  const session = { ...statusDocumentOf().session, since: SINCE };
  expect(agentStatus(statusDocumentOf({ session: { ...session, lastError: fault } }))).toMatchObject({
    last_error: { code: 'DAEMON_UNREACHABLE', class: null },
  });
  expect(agentStatus(statusDocumentOf({ session: { ...session, lastError: null } }))).toMatchObject({
    last_error: null,
  });
});

test('a swap under way is told with the generation that serves', () => {
  const credential = { generation: 4, fingerprint: 'f', state: 'ok' };
  const conditions = [
    { code: 'SWAP_IN_PROGRESS', severity: 'info' as const, since: SINCE, message: 'A swap is under way.' },
  ];
  expect(agentStatus(statusDocumentOf({ credential, conditions }))).toMatchObject({
    rotation: { generation: 4, in_progress: true },
  });
});
