/** The sandbox's command line: every option, its checks and its help. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { ACL_EFFECTS, type AclEffect, WHENS, type When } from './api/switches.ts';
import { isPrintable } from './api/tokens.ts';
import { OPERATION_NAMES } from './control/operations.ts';
import type { SandboxOptions } from './sandbox.ts';

/** What the command line asked for. */
export interface CommandLine {
  readonly json: boolean;
  readonly options: SandboxOptions;
}

interface Parsed {
  readonly json: boolean;
  readonly dir?: string;
  readonly domain: string;
  readonly token: Readonly<Record<string, string>>;
  readonly websocket: boolean;
  readonly routeDelay?: number;
  readonly grace?: number;
  readonly maxEndpoints?: number;
  readonly urlPort: boolean;
  readonly heartbeats: boolean;
  readonly revoke: When;
  readonly disable: When;
  readonly aclPatch: AclEffect;
  readonly reservations: boolean;
  readonly certificate: number;
  readonly rate: number;
}

const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const domain = (text: string): string => {
  const name = text.toLowerCase();
  if (!DOMAIN.test(name)) throw new InvalidArgumentError('It must be a domain of at least two labels.');
  return name;
};

const count = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
};

const token = (text: string, sofar: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  const [, name = '', secret = ''] = /^([\w.-]+)=(.+)$/s.exec(text) ?? [];
  if (name === '' || name === '__proto__' || !isPrintable(secret)) {
    throw new InvalidArgumentError('It must be NAME=SECRET, the name of letters, digits, ".", "_" and "-".');
  }
  if (Object.hasOwn(sofar, name)) throw new InvalidArgumentError(`There are two tokens named ${name}.`);
  return { ...sofar, [name]: secret };
};

const HELP_AFTER = `
With --json the first line on stdout tells every address and secret as JSON, once everything listens:
  v, domain, caFile, edge{addr,http,https}, api{url,key}, broker{url}, control{url}, authtokens{default,…}

The control door: POST /faults with {"op": …} (${OPERATION_NAMES.join(', ')}),
GET /state, GET /events, GET /refusals. The switches above can be turned there too: {"op":"switch","graceMs":5000}.

Nothing listens off loopback and nothing outlives the process. Ends on SIGINT or SIGTERM with exit code 0;
a usage error is 64.`;

/** The parser. It throws a `CommanderError` instead of ending the process. */
const command = (version: string): Command =>
  new Command('sandbox')
    .description('An ngrok edge, its API and an MQTT broker on loopback, to try devices and tools against.')
    .version(version)
    .option('--json', 'print one line of JSON for programs', false)
    .option('--dir <dir>', 'where ca.pem, authtoken and config.json go (default: a temporary folder)')
    .addOption(
      new Option('--domain <name>', 'public names are those under it').default('edge.test').argParser(domain),
    )
    .addOption(
      new Option('--token <name=secret>', 'add an authtoken of account A; may be given again')
        .default({}, 'default=RANDOM')
        .argParser(token),
    )
    .option('--websocket', 'MQTT over WebSocket too (broker.wsUrl)', false)
    .option('--route-delay <ms>', 'hold visitors back so long after a bind (default: 50)', count)
    .option('--grace <ms>', "keep a lost session's addresses for its owner so long (default: 0)", count)
    .option('--max-endpoints <n>', 'most endpoints of one session (default: no limit)', count)
    .option('--no-url-port', 'leave the port of the front end out of URLs')
    .option('--no-heartbeats', 'do not cut agents whose heartbeats stay away')
    .addOption(
      new Option('--revoke <when>', 'when a deleted credential is felt').choices(WHENS).default('at-once'),
    )
    .addOption(
      new Option('--disable <when>', 'when a disabled service user is felt')
        .choices(WHENS)
        .default('at-once'),
    )
    .addOption(
      new Option('--acl-patch <when>', 'when a changed ACL is felt')
        .choices(ACL_EFFECTS)
        .default('next-bind'),
    )
    .option('--reservations', 'names and TCP addresses must be reserved first', false)
    .option('--certificate <ms>', "how long a new domain's certificate takes", count, 0)
    .option('--rate <n>', 'API requests per minute and account', count, 120)
    .allowExcessArguments(false)
    .addHelpText('after', HELP_AFTER)
    .exitOverride();

/** Reads `argv` without the program's name. Throws a `CommanderError`, whose `exitCode` is 0 for help and version. */
export const readCommandLine = (argv: readonly string[], version: string): CommandLine => {
  const given = command(version)
    .parse([...argv], { from: 'user' })
    .opts<Parsed>();
  return {
    json: given.json,
    options: {
      ...(given.dir === undefined ? {} : { dir: given.dir }),
      domain: given.domain,
      tokens: given.token,
      edge: {
        ...(given.routeDelay === undefined ? {} : { routeDelayMs: given.routeDelay }),
        ...(given.grace === undefined ? {} : { graceMs: given.grace }),
        ...(given.maxEndpoints === undefined ? {} : { endpointsPerSession: given.maxEndpoints }),
        urlPort: given.urlPort,
        enforceHeartbeat: given.heartbeats,
      },
      switches: {
        revoke: given.revoke,
        disable: given.disable,
        aclPatch: given.aclPatch,
        reservations: given.reservations,
        certificateMs: given.certificate,
      },
      rate: { limit: given.rate, windowMs: 60_000 },
      broker: { websocket: given.websocket },
    },
  };
};
