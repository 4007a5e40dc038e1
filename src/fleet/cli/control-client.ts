/** Talks to the daemon on this machine: HTTP over its unix socket, never through a proxy. */
import { Agent, request } from 'node:http';
import { FAULT_CODES, failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord } from '../../protocol/strict-json.ts';

export const DEFAULT_SOCKET = '/run/lockkeeper/lockkeeper.sock';

const ANSWER_MS = 10_000;
const MAX_BODY_BYTES = 4 * 1024 * 1024;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens there',
  EACCES: 'this user may not open it; the group lockkeeper may',
  ETIMEDOUT: 'it does not answer',
};

const unreachable = (socketPath: string, code: string) =>
  failed(fault('DAEMON_UNREACHABLE', `No daemon answers on ${socketPath}: ${REASONS[code] ?? code}.`, true));

const exchange = (
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
): Promise<Result<{ readonly status: number; readonly text: string }>> =>
  new Promise((resolve) => {
    const give = (code: string): void => resolve(unreachable(socketPath, code));
    // An agent of its own: the global one may have been told to use a proxy.
    const outgoing = request(
      { socketPath, method, path, agent: new Agent({ keepAlive: false }), headers: { host: 'localhost' } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > MAX_BODY_BYTES) outgoing.destroy();
        });
        response.on('error', () => give('it hung up'));
        response.on('end', () => resolve(ok({ status: response.statusCode ?? 0, text })));
      },
    );
    outgoing.setTimeout(ANSWER_MS, () =>
      outgoing.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })),
    );
    outgoing.on('error', (error: NodeJS.ErrnoException) => give(error.code ?? 'it hung up'));
    outgoing.end();
  });

const isFaultCode = (code: unknown): code is (typeof FAULT_CODES)[number] =>
  (FAULT_CODES as readonly unknown[]).includes(code);

/** One call. The daemon's own errors come through; `DAEMON_UNREACHABLE` when nobody answers properly. */
export const callDaemon = async (
  socketPath: string,
  method: 'GET' | 'POST',
  path: '/v1/status' | '/v1/lock' | '/v1/unlock',
): Promise<Result<Readonly<Record<string, unknown>>>> => {
  const answer = await exchange(socketPath, method, path);
  if (!answer.ok) return answer;
  let body: unknown;
  try {
    body = JSON.parse(answer.value.text);
  } catch {
    return unreachable(socketPath, 'the answer is not JSON');
  }
  if (!isRecord(body)) return unreachable(socketPath, 'the answer is not an object');
  if (answer.value.status === 200) return ok(body);
  const { code, message, retryable } = body;
  return failed(
    fault(
      isFaultCode(code) ? code : 'INTERNAL',
      typeof message === 'string' ? message : `The daemon answered ${answer.value.status}.`,
      retryable === true,
    ),
  );
};
