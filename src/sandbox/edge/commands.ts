import type { Clock } from '../../core/clock.ts';
import { isJson, textAt } from './fields.ts';
import { JsonCollector } from './json-collector.ts';
import type { Mux } from './mux.ts';
import { encodeCommandHead, STREAM_TYPE } from './typed-stream.ts';

/** The agent did not answer a command: it is gone, or it said nothing in time. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

const COMMAND_TYPE = {
  stop: STREAM_TYPE.stop,
  restart: STREAM_TYPE.restart,
  update: STREAM_TYPE.update,
} as const;

/**
 * Sends one command and waits for the agent's answer: null, or its error text. Rejects with `CommandFailed`. The
 * stream is ended only after the answer: an agent that meets its end too early spins for ever.
 */
export const sendCommand = (
  mux: Mux,
  op: keyof typeof COMMAND_TYPE,
  args: { readonly version: string; readonly permitMajor: boolean },
  timing: { readonly clock: Clock; readonly deadlineMs: number },
): Promise<string | null> =>
  new Promise((resolve, reject) => {
    if (mux.hasEnded) {
      reject(new CommandFailed('the session is gone'));
      return;
    }
    const body = op === 'update' ? { Version: args.version, PermitMajorVersion: args.permitMajor } : {};
    const stream = mux.open(encodeCommandHead(COMMAND_TYPE[op], body));
    const collector = new JsonCollector();
    let answer: unknown;
    const cancel = timing.clock.after(timing.deadlineMs, () => {
      stream.destroy(new CommandFailed(`no answer to ${op} within ${timing.deadlineMs} ms`));
    });
    stream.on('data', (chunk: Buffer) => {
      if (answer !== undefined) return;
      try {
        answer = collector.push(chunk);
      } catch (error) {
        stream.destroy(new CommandFailed('the answer is not JSON', { cause: error }));
        return;
      }
      if (answer !== undefined) stream.end();
    });
    stream.on('end', () => stream.end());
    stream.on('close', () => {
      cancel();
      if (!isJson(answer))
        reject(stream.errored ?? new CommandFailed('the agent ended the command unanswered'));
      else resolve(textAt(answer, 'Error') || null);
    });
  });

/** Tells the agent that one of its endpoints was ended from here. There is no answer but the end of the stream. */
export const sendStopTunnel = (mux: Mux, id: string, message: string, code: string | null): void => {
  if (mux.hasEnded) return;
  const stream = mux.open(
    encodeCommandHead(STREAM_TYPE.stopTunnel, { Id: id, Message: message, ErrorCode: code }),
  );
  stream.resume();
  stream.on('end', () => stream.end());
};
