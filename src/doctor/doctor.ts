/** Looks at everything between this device and its work, from the configuration to the upstreams. Changes nothing. */
import type { Config } from '../config/config.ts';
import { loadConfigHere } from '../config/main-check.ts';
import { isLoginOutOfSight } from '../config/service-credentials.ts';
import { filePath } from '../config/text-file.ts';
import type { Clock } from '../core/clock.ts';
import type { Result } from '../core/errors.ts';
import { parseBrokerUrl } from '../link/broker-url.ts';
import { checkBroker } from './check-broker.ts';
import { checkClock, checkStateDir } from './check-machine.ts';
import { checkPlace } from './check-place.ts';
import { checkSecrets, OUT_OF_SIGHT } from './check-secrets.ts';
import { checkService } from './check-service.ts';
import { checkUpstreams } from './check-upstreams.ts';
import { type Finding, fine, found, skipped } from './finding.ts';

const NGROK_EDGE = 'connect.ngrok-agent.com:443';
const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];

export interface DoctorOptions {
  readonly configFile: string;
  readonly clock: Clock;
  readonly env: NodeJS.ProcessEnv;
  /** The daemon's own status, from the socket that the configuration names. */
  readonly askDaemon: (socket: string) => Promise<Result<Readonly<Record<string, unknown>>>>;
}

interface StatusPart {
  readonly version?: string;
  readonly session?: {
    readonly state?: string;
    readonly lastError?: { readonly code: string; readonly message: string } | null;
  };
  readonly link?: { readonly state?: string };
  readonly conditions?: readonly {
    readonly code: string;
    readonly severity: string;
    readonly message: string;
    readonly endpoint?: string;
  }[];
}

const ADVICE: Readonly<Record<string, string>> = {
  NGROK_ACL_DENIED:
    'Give the credential an ACL that covers the URL (lockkeeper enroll or rotate makes one), or correct the URL.',
  TOKEN_FILE_REFUSED:
    'Put a good authtoken into ngrok.authtokenFile; or mend this one at ngrok and write the file again.',
  NGROK_URL_TAKEN: 'Find who else holds this URL, or turn pooling on at both.',
  UPSTREAM_DENIED: 'Declare the upstream in config.json, or allow it in allowUpstreams.',
  UNKNOWN_POLICY: 'Declare the policy in config.json.',
};

/** Pure: what the running daemon says of itself. */
export const judgeStatus = (status: StatusPart): readonly Finding[] => {
  const { session, link, conditions = [] } = status;
  return [
    fine(
      'daemon',
      `lockkeeperd ${status.version ?? ''} runs; session ${session?.state}, link ${link?.state}`,
    ),
    ...(session?.state === 'auth-failed' && session.lastError
      ? [
          found(
            'session',
            'error',
            session.lastError.code,
            session.lastError.message,
            'Send a new authtoken by rekey, or put it into ngrok.authtokenFile.',
          ),
        ]
      : []),
    ...conditions.map(({ code, severity, message, endpoint }) =>
      found(
        endpoint === undefined ? 'condition' : `endpoint ${endpoint}`,
        severity === 'error' ? 'error' : 'warning',
        code,
        message,
        ADVICE[code] ?? 'docs/troubleshooting.md says what to do about this code.',
      ),
    ),
  ];
};

const checkDaemon = async ({ askDaemon }: DoctorOptions, socket: string): Promise<readonly Finding[]> => {
  const status = await askDaemon(socket);
  return status.ok
    ? judgeStatus(status.value)
    : [
        found(
          'daemon',
          'error',
          status.fault.code,
          status.fault.message,
          'Look at systemctl status lockkeeper and at journalctl -u lockkeeper.',
        ),
      ];
};

const checkProxy = (env: NodeJS.ProcessEnv): Finding => {
  const set = PROXY_VARIABLES.filter((name) => (env[name] ?? '') !== '');
  return set.length === 0
    ? fine('proxy', 'no proxy variables')
    : fine('proxy', `${set.join(', ')} set: the device's own connections do not use them`);
};

const hostPort = (text: string): { readonly host: string; readonly port: number } => {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
};

/** A credential's place in its folder. */
const pathOf = (reference: string, env: NodeJS.ProcessEnv): string =>
  filePath(reference, env['CREDENTIALS_DIRECTORY']) ?? reference;

const checkEdge = ({ ngrok }: Config, clock: Clock, env: NodeJS.ProcessEnv): Promise<Finding> =>
  checkPlace(
    {
      check: 'edge',
      ...hostPort(ngrok.serverAddr || NGROK_EDGE),
      isTls: true,
      caFile: pathOf(ngrok.caFile, env),
      // ngrok's own edge is known by an authority that the agent brings along.
      trustsAnyone: ngrok.caFile === '' && ngrok.serverAddr === '',
    },
    clock,
  );

const checkBrokerAll = async (
  config: Config,
  clock: Clock,
  env: NodeJS.ProcessEnv,
): Promise<readonly Finding[]> => {
  const target = parseBrokerUrl(config.mqtt.url);
  if (!target.ok)
    return [found('broker', 'error', target.fault.code, target.fault.message, 'Mend mqtt.url.')];
  if (isLoginOutOfSight(config, env))
    return [skipped('broker login', `not tried: it needs credentials, and ${OUT_OF_SIGHT}`)];
  const { host, port, isSecure } = target.value;
  const place = await checkPlace(
    {
      check: 'broker',
      host,
      port,
      isTls: isSecure,
      caFile: pathOf(config.mqtt.caFile, env),
      alpn: config.mqtt.alpn,
    },
    clock,
  );
  return place.severity === 'error'
    ? [place, skipped('broker login', 'not tried: the broker cannot be reached')]
    : [place, ...(await checkBroker(config, clock))];
};

/** Never rejects for what it finds; findings come in the order in which a person would look. */
export const examine = async (options: DoctorOptions): Promise<readonly Finding[]> => {
  const { clock, env, configFile } = options;
  const loaded = await loadConfigHere(configFile, env, true);
  if (!loaded.ok)
    return [
      ...loaded.lines.map((line) =>
        found('configuration', 'error', 'CONFIG_INVALID', line, 'docs/configuration.md has every key.'),
      ),
      checkClock(clock),
      checkProxy(env),
    ];
  const { config, warnings } = loaded.value;
  const [service, daemon, state, secrets, edge, broker, upstreams] = await Promise.all([
    checkService(env),
    checkDaemon(options, config.socket),
    checkStateDir(config.stateDir),
    checkSecrets(config, env),
    checkEdge(config, clock, env),
    checkBrokerAll(config, clock, env),
    checkUpstreams(config, clock),
  ]);
  return [
    fine('configuration', `${configFile} is valid`),
    ...warnings.map((text) => found('configuration', 'warning', 'CONFIG_WARNING', text, 'See docs/keys.md.')),
    service,
    ...daemon,
    checkClock(clock),
    ...state,
    ...secrets,
    checkProxy(env),
    edge,
    ...broker,
    ...upstreams,
  ];
};
