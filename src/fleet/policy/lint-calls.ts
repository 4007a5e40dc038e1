/** Calls of ngrok's two APIs, and settings of its agent, in scripts and runbooks that do not do what was meant. Pure. */

import { portFinding } from './lint-endpoints.ts';
import type { Finding } from './lint-finding.ts';

/** The agent has `/api/tunnels`, which is on its way out, and `/api/endpoints`. */
const AGENT_PATH = /\/api\/tunnel(?![\w-])/;
const CLOUD_API = /\bhttps?:\/\/api\.ngrok\.com(?![\w.-])/i;
const VERSION_HEADER = /\bngrok-version\s*:/i;
const CURL = /(?:^|[\s;|&`$(])curl\s/;

/** A credential is made: by POST, or by the agent's command line. */
const NEW_CREDENTIAL =
  /\bapi\.ngrok\.com\/(?:tunnel_)?credentials\/?(?![\w/?])|\bngrok\s+api\s+credentials\s+create\b/i;
const SENDS =
  /\s(?:-d|--data(?:-\w+)?|--json)[\s=]|\s-X\s*POST\b|--request[\s=]POST\b|\bcredentials\s+create\b/i;
/** A body in a file, which is not looked into, may well name one. */
const MAY_HAVE_ACL =
  /["']acl["']\s*:\s*\[\s*[^\]\s]|--acl[\s=]+\S|(?:-d|--data(?:-\w+)?|--json)[\s=]+["']?[@$]/i;

/** `upstream:` of the agent's configuration with its `url:` below it. */
const AGENT_UPSTREAM = /^(?<indent>\s*(?:-\s+)?)upstream:\s*$/;
const AGENT_UPSTREAM_URL = /^(?<indent>\s*)url:\s*["']?(?<url>[^\s"'#]+)/;

const lintUpstreams = (lines: readonly string[]): readonly Finding[] =>
  lines.flatMap((line, index) => {
    const above = AGENT_UPSTREAM.exec(line)?.groups?.['indent'];
    if (above === undefined) return [];
    for (const [offset, below] of lines.slice(index + 1).entries()) {
      if (below.trim() !== '' && below.search(/\S/) <= above.length) return [];
      const url = AGENT_UPSTREAM_URL.exec(below)?.groups?.['url'];
      // The agent takes a port alone, too.
      if (url === undefined) continue;
      const found = /^\d+$/.test(url) ? null : portFinding(url, `line ${index + offset + 2}`);
      return found === null ? [] : [found];
    }
    return [];
  });

/** A command of several lines, joined where each but the last ends with a backslash. */
const commands = (lines: readonly string[]): readonly { readonly line: number; readonly text: string }[] => {
  const all: { line: number; text: string }[] = [];
  let isOpen = false;
  for (const [index, line] of lines.entries()) {
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
export const lintCalls = (text: string): readonly Finding[] => {
  const lines = text.split(/\r?\n/);
  const calls = commands(lines).flatMap(({ line, text: command }): readonly Finding[] => {
    const say = (code: Finding['code'], message: string): Finding => ({
      code,
      severity: 'error',
      at: `line ${line}`,
      message,
    });
    const found: Finding[] = [];
    if (AGENT_PATH.test(command))
      found.push(
        say(
          'AGENT_API_PATH',
          'The agent has no /api/tunnel: it is /api/endpoints, or /api/tunnels as long as that is there.',
        ),
      );
    if (CURL.test(command) && CLOUD_API.test(command) && !VERSION_HEADER.test(command))
      found.push(
        say(
          'API_VERSION',
          "A call of ngrok's API without the header Ngrok-Version: 2 is refused (ERR_NGROK_218).",
        ),
      );
    if (NEW_CREDENTIAL.test(command) && SENDS.test(command) && !MAY_HAVE_ACL.test(command))
      found.push(
        say(
          'TOKEN_UNRESTRICTED',
          'A credential without acl may open every address of the account, also where all is internal: name what it may.',
        ),
      );
    return found;
  });
  return [...calls, ...lintUpstreams(lines)];
};
