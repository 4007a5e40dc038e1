/** The schema of `config.json`: every key with its meaning, default and unit. */
import { type Static, Type } from 'typebox';
import { DEVICE_ID_PATTERN, NAME_PATTERN } from '../protocol/names.ts';
import { ALPN_NAME, CLOSED, choice, flag, path, seconds, secretPath, section, text } from './schema-parts.ts';
import { allowUpstreamsSchema, endpointsSchema, policiesSchema, upstreamsSchema } from './schema-traffic.ts';

const device = Type.Object(
  {
    id: Type.String({
      pattern: DEVICE_ID_PATTERN,
      description: 'Name of this device: its MQTT client id and a level of its topics.',
      wanted: '3 to 63 of a-z, 0-9 and -, beginning with a letter or digit',
    }),
    tenant: Type.String({
      pattern: NAME_PATTERN,
      description: 'Whose device it is: a level of every topic.',
      wanted: '1 to 32 of a-z, 0-9 and -, beginning with a letter',
    }),
    keyFile: secretPath(
      "The device's private key (a JWK) in place of one made in `stateDir`. Authtokens on disk are then encrypted under it.",
    ),
  },
  { ...CLOSED, default: {}, description: 'Who this is.' },
);

const mqtt = Type.Object(
  {
    url: Type.String({
      maxLength: 300,
      description: 'The broker: `mqtts://`, `mqtt://`, `wss://` or `ws://`.',
      wanted: 'a URL such as mqtts://broker.example:8883',
    }),
    username: text('', { description: 'User name at the broker.' }),
    passwordFile: secretPath('File with the password, read again at each connect.'),
    caFile: secretPath("PEM file with the authorities to trust for the broker instead of the system's."),
    certFile: secretPath('PEM file with the client certificate, read again at each connect.'),
    keyFile: secretPath("PEM file with the client certificate's key."),
    alpn: Type.String({
      ...ALPN_NAME,
      default: '',
      description:
        'Protocol to name in the TLS handshake (ALPN), where a broker tells several apart on one port, as AWS does on 443.',
      unit: 'such as `x-amzn-mqtt-ca`',
      wanted: 'up to 255 printable characters of ASCII without spaces, such as x-amzn-mqtt-ca',
    }),
    protocol: choice(
      ['auto', '5', '4'],
      'auto',
      'MQTT version: 5, 3.1.1 (`4`), or whichever the broker takes.',
    ),
    keepAliveS: seconds(60, 5, 3600, 'Longest silence before the link is tested.'),
  },
  { ...CLOSED, default: {}, description: 'The link to the cloud.' },
);

const ngrok = section("The session at ngrok's edge.", {
  authtokenFile: secretPath(
    'File with the authtoken. Seeds generation 1; a changed file is tried like a new token.',
  ),
  serverAddr: text('', {
    description: "Edge to connect to instead of ngrok's own.",
    unit: '`host:port`',
  }),
  caFile: path('', "PEM file with the authorities to trust for the edge instead of ngrok's own."),
  region: text('auto', { description: 'ngrok region, or `auto`.' }, 32),
  metadata: text('', { description: 'Free text that ngrok keeps with the session.' }),
  noDelay: flag(true, "Sets TCP_NODELAY on the session's socket (Linux): far lower latency."),
  heartbeatIntervalS: seconds(5, 1, 600, 'Time between two heartbeats to the edge.'),
  heartbeatToleranceS: seconds(
    7,
    1,
    600,
    "Wait for a heartbeat's answer. Interval and tolerance together are how long a dead session can take visitors.",
  ),
});

export const configSchema = Type.Object(
  {
    device,
    stateDir: path(
      '/var/lib/lockkeeper',
      'Folder for keys, tokens and everything else that must be remembered.',
    ),
    socket: path('/run/lockkeeper/lockkeeper.sock', 'Control socket.'),
    mqtt,
    trust: section('Whose commands are believed.', {
      mode: choice(
        ['signed', 'broker'],
        'signed',
        '`signed`: commands carry a signature. `broker`: whoever may publish, on a private broker only.',
      ),
      keysFile: secretPath('File with the root keys and the first key set. Required with mode `signed`.'),
    }),
    ngrok,
    vault: section('The authtokens on disk.', {
      keyFile: secretPath(
        'File with a key, one line of at least 32 characters: the authtokens in `stateDir` are encrypted under it. Empty: under `device.keyFile` where there is one, else they are not.',
      ),
    }),
    upstreams: upstreamsSchema,
    allowUpstreams: allowUpstreamsSchema,
    endpoints: endpointsSchema,
    report: section('What is told to the cloud.', {
      healthS: seconds(300, 1, 86_400, 'Time between two health messages.'),
      connEvents: choice(
        ['off', 'summary', 'full'],
        'summary',
        "Events about visitors' connections: none, one summary in a while, or each.",
      ),
      probeS: seconds(
        0,
        0,
        86_400,
        'Time between two visits to each http endpoint through its public URL; 0 for none. Each buys an active endpoint hour at ngrok.',
      ),
    }),
    lease: section('Endpoints opened by command.', {
      defaultS: seconds(3600, 1, 2_592_000, 'Lease of a `start` that names none.'),
    }),
    handover: section('Life of tunnels without their supervisor.', {
      graceS: seconds(60, 0, 3600, 'How long tunnels serve on when the supervisor has gone.'),
    }),
    lockFile: path('', 'File whose existence locks the device. Empty: `lock` in the state folder.'),
    policies: policiesSchema,
    http: section('Status page and metrics.', {
      listen: text('', {
        description: 'Loopback address and port to listen on. Empty: off.',
        unit: '`127.0.0.1:9464`',
      }),
      tokenFile: secretPath('File with the token that page and metrics ask for.'),
      page: flag(true, 'Whether there is a status page.'),
      metrics: flag(true, 'Whether there is `/metrics`.'),
    }),
    swap: section('Taking a new authtoken.', {
      deadlineS: seconds(
        60,
        5,
        60,
        'How long a new authtoken may take to prove itself before the old one stays in use.',
      ),
    }),
    drain: section('Taking endpoints down.', {
      deadlineS: seconds(30, 0, 3600, 'Longest wait for requests in flight.'),
    }),
    log: section('The log on standard output.', {
      level: choice(
        ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
        'info',
        'Least important level that is written.',
      ),
    }),
  },
  CLOSED,
);

/** A configuration as it passed the schema, every default filled in. */
export type SchemaConfig = Static<typeof configSchema>;
