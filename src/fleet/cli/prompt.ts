/** Asks a person at a terminal for a secret, without showing it. */

const ENTER = /[\r\n]/;
/** Ctrl-C and Ctrl-D. */
const GIVE_UP: readonly string[] = ['\u0003', '\u0004'];
const BACKSPACE: readonly string[] = ['\u0008', '\u007f'];

export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WritableStream;
}

/** A function that asks, or null where nobody can be asked. Gives an empty text when the person gives up. */
export const secretPrompt = (
  { input, output }: Terminal,
  question: string,
): (() => Promise<string>) | null =>
  input.isTTY
    ? () =>
        new Promise((resolve) => {
          output.write(question);
          let typed = '';
          const done = (answer: string): void => {
            input.off('data', onData).setRawMode(false).pause();
            output.write('\n');
            resolve(answer);
          };
          const onData = (chunk: Buffer): void => {
            for (const char of chunk.toString('utf8')) {
              if (ENTER.test(char) || GIVE_UP.includes(char)) {
                done(ENTER.test(char) ? typed : '');
                return;
              }
              typed = BACKSPACE.includes(char) ? typed.slice(0, -1) : typed + char;
            }
          };
          input.setRawMode(true).resume().on('data', onData);
        })
    : null;
