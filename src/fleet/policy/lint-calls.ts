/** Calls of ngrok's two APIs in scripts, runbooks and policies that cannot work as they stand. Pure. */
import type { Finding } from './lint.ts';

/** The agent has `/api/tunnels`, which is on its way out, and `/api/endpoints`. */
const AGENT_PATH = /\/api\/tunnel(?![\w-])/;
const CLOUD_API = /\bhttps?:\/\/api\.ngrok\.com(?![\w.-])/i;
const VERSION_HEADER = /\bngrok-version\s*:/i;
const CURL = /(?:^|[\s;|&`$(])curl\s/;

/** A command of several lines, joined where each but the last ends with a backslash. */
const commands = (text: string): readonly { readonly line: number; readonly text: string }[] => {
  const all: { line: number; text: string }[] = [];
  let isOpen = false;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const last = all.at(-1);
    if (isOpen && last !== undefined) last.text += ` ${line}`;
    else all.push({ line: index + 1, text: line });
    isOpen = line.trimEnd().endsWith('\\');
  }
  return all;
};

export const isWithoutVersion = (url: unknown, headers: readonly string[]): boolean =>
  typeof url === 'string' &&
  CLOUD_API.test(url) &&
  !headers.some((name) => name.toLowerCase() === 'ngrok-version');

/** Looks at any text; `at` is the line on which a command begins. */
export const lintCalls = (text: string): readonly Finding[] =>
  commands(text).flatMap(({ line, text: command }): readonly Finding[] => [
    ...(AGENT_PATH.test(command)
      ? [
          {
            code: 'AGENT_API_PATH',
            severity: 'error',
            at: `line ${line}`,
            message:
              'The agent has no /api/tunnel: it is /api/endpoints, or /api/tunnels as long as that is there.',
          } as const,
        ]
      : []),
    ...(CURL.test(command) && CLOUD_API.test(command) && !VERSION_HEADER.test(command)
      ? [
          {
            code: 'API_VERSION',
            severity: 'error',
            at: `line ${line}`,
            message: "A call of ngrok's API without the header Ngrok-Version: 2 is refused (ERR_NGROK_218).",
          } as const,
        ]
      : []),
  ]);
