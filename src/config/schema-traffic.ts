/** Schema of what carries traffic: upstreams, the allow-list, endpoints. */
import { Type } from 'typebox';
import { NAME_PATTERN } from '../protocol/names.ts';
import type { UpstreamConfig } from './config.ts';
import { CLOSED, choice, flag, named, path, seconds, text } from './schema-parts.ts';

const NAME_FORM = 'a lower-case name such as hmi or press-7-web';

const checkSchema = Type.Unsafe<UpstreamConfig['check']>({
  type: ['object', 'null'],
  default: null,
  description: 'How the upstream is probed, locally. Without it the first failed connection tells.',
  additionalProperties: false,
  required: ['type'],
  properties: {
    type: {
      type: 'string',
      enum: ['tcp', 'http', 'tls', 'none'],
      description: 'What counts as alive: a connection, an answer below 500, a handshake, or nothing.',
    },
    path: {
      type: 'string',
      default: '/',
      maxLength: 1024,
      pattern: '^/[\\x21-\\x7e]*$',
      description: 'Path asked for by type `http`.',
      wanted: 'a path that begins with /',
    },
    intervalS: {
      type: 'integer',
      default: 10,
      minimum: 1,
      maximum: 3600,
      description: 'Time between two probes.',
      unit: 'seconds',
    },
  },
});

const upstreamSchema = Type.Object(
  {
    url: Type.String({
      maxLength: 300,
      description: 'Where the upstream listens: `http://`, `https://`, `tcp://` or `tls://`, host, port.',
      wanted: 'a URL such as http://127.0.0.1:8080 or tcp://192.168.7.2:502',
    }),
    verify: flag(true, 'Whether the certificate of an `https://` or `tls://` upstream is checked.'),
    caFile: path('', "PEM file with the authorities to trust for this upstream instead of the system's."),
    serverName: text('', {
      description: 'Name to send and to check in the certificate instead of the host.',
      unit: 'host name',
    }),
    check: checkSchema,
  },
  CLOSED,
);

const endpointSchema = Type.Object(
  {
    name: Type.String({
      pattern: NAME_PATTERN,
      description: 'Name by which commands and documents speak of the endpoint.',
      wanted: NAME_FORM,
    }),
    proto: Type.Unsafe<'http' | 'tcp' | 'tls'>({
      type: 'string',
      enum: ['http', 'tcp', 'tls'],
      description: 'What visitors speak.',
    }),
    upstream: Type.String({
      maxLength: 300,
      description: 'A name from `upstreams`, or a URL that an entry of `allowUpstreams` covers.',
      wanted: 'a name from upstreams, or a URL',
    }),
    url: text('', {
      description: 'Public address. Empty: a random one that changes with each new session.',
      unit: '`https://NAME`, `http://NAME`, `tls://NAME`, `tcp://HOST:PORT`',
    }),
    on: flag(false, 'Whether the endpoint is open without a command or document asking for it.'),
    policy: text('', { description: 'Name from `policies` of the traffic policy to attach.' }, 32),
    binding: choice(
      ['public', 'internal'],
      'public',
      'Who reaches it: everybody, or only the same ngrok account. Names under `.internal` are always internal.',
    ),
    metadata: text('', { description: 'Free text that ngrok keeps with the endpoint.' }),
    pooling: flag(true, 'Whether several sessions may share the URL. Swaps without a gap need it.'),
    metering: choice(
      ['on', 'off'],
      'on',
      'Whether traffic passes the counting relay. `off` forwards directly: no counters, no idle close.',
    ),
    idleCloseS: seconds(0, 0, 86_400, 'Closes the endpoint after so long without traffic; 0 means never.'),
    windows: Type.Array(Type.String({ maxLength: 64 }), {
      default: [],
      maxItems: 14,
      description: 'Weekly times at which an endpoint that is on is open; empty means always.',
      unit: '`mon-fri 08:00-17:00 Europe/Berlin`',
    }),
  },
  CLOSED,
);

export const upstreamsSchema = named(
  upstreamSchema,
  'The services of this device that endpoints may lead to, by name.',
);

export const allowUpstreamsSchema = Type.Array(Type.String({ maxLength: 300 }), {
  default: [],
  maxItems: 256,
  description:
    'Upstream URLs that may be named directly. Scheme, host and port must all match; a network covers addresses.',
  unit: '`http://127.0.0.1:8080`, `tcp://192.168.7.0/24:502`',
});

export const endpointsSchema = Type.Array(endpointSchema, {
  default: [],
  maxItems: 64,
  description: 'The endpoints of this device. Off until `on`, a command or a document opens them.',
});

export const policiesSchema = named(
  Type.String({ minLength: 1, maxLength: 1024, description: 'Path of the policy file.', unit: 'path' }),
  'Traffic policies by name: paths of YAML or JSON files.',
);
