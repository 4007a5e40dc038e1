/**
 * Which way imports may point, each ban with its reason. `swc` reads the sources: this cruiser does not know
 * TypeScript 7. test/unit/import-rules.test.ts plants a violation of every rule and counts the modules seen.
 */

const SRC = '^src/';
const room = (...names) => `^src/(?:${names.join('|')})/`;

/** Files of a room may import what `allowed` matches, and no other file of ours. */
const only = (name, from, allowed, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: room(from) },
  to: { path: SRC, pathNot: allowed.map((pattern) => `^src/(?:${pattern})`) },
});

const never = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to });

/** The rooms that do the daemon's outside work. */
const SERVICES = ['tunnel', 'link', 'vault', 'health', 'control'];
const PURE = 'core/|protocol/';

export default {
  forbidden: [
    only(
      'core-is-the-ground',
      'core',
      ['core/'],
      'core decides; it must be testable without anything around it',
    ),
    only(
      'protocol-stands-on-core',
      'protocol',
      [PURE],
      'both ends of the wire use protocol, so it may know neither',
    ),
    only(
      'config-stands-on-core',
      'config',
      [PURE, 'config/'],
      'a configuration is checked before any part is there',
    ),
    only(
      'daemon-knows-ports-only',
      'daemon',
      [PURE, 'config/', 'daemon/'],
      'the loop is tried on small working models; the rooms implement its ports',
    ),
    ...SERVICES.map((name) =>
      only(
        `${name}-stands-alone`,
        name,
        [PURE, 'config/', 'log/', 'daemon/ports\\.ts$', 'daemon/status\\.ts$', `${name}/`],
        'services meet in the assembly, never behind its back: each can be replaced by another that keeps the port',
      ),
    ),
    only(
      'log-stands-on-core',
      'log',
      [PURE, 'config/', 'log/'],
      'every part may log, so the log may know no part',
    ),
    only(
      'fleet-runs-without-a-device',
      'fleet',
      [PURE, 'config/', 'log/', 'link/', 'vault/', 'daemon/ports\\.ts$', 'doctor/', 'fleet/'],
      "the operator's side runs where no daemon is; it shares the link and the way files are written",
    ),
    only(
      'doctor-touches-what-the-daemon-touches',
      'doctor',
      [PURE, 'config/', 'link/', 'vault/', 'daemon/ports\\.ts$', 'tunnel/relay/dial\\.ts$', 'doctor/'],
      'it looks with the same eyes as the daemon, and runs where none does',
    ),
    only(
      'sandbox-is-its-own-world',
      'sandbox',
      [PURE, 'sandbox/'],
      'what stands in for ngrok must not share code with what it tries: a bug would be mirrored',
    ),
    never(
      'ngrok-sdk-in-tunnel',
      { path: SRC, pathNot: room('tunnel') },
      { path: '(^|/)@ngrok/ngrok(/|$)' },
      'the SDK can hang or abort its process; only a tunnel process may hold it',
    ),
    never(
      'mqtt-in-link-and-fleet',
      { path: SRC, pathNot: room('link', 'fleet') },
      { path: '(^|/)(node_modules/mqtt|mqtt)(/|$)' },
      'reconnecting and publishing are decided in one place on each side',
    ),
    never(
      'broker-in-sandbox',
      { path: SRC, pathNot: room('sandbox') },
      { path: '(^|/)aedes(/|$)' },
      'the embedded broker is for trying things out; a daemon never carries one',
    ),
    never(
      'nobody-imports-a-program',
      { path: SRC, pathNot: '^src/(?:lockkeeperd|lockkeeper|demo/.*|assembly/.*)\\.ts$' },
      {
        path: '^src/(?:lockkeeperd\\.ts|lockkeeper\\.ts|demo/|assembly/|[^/]+/main\\.ts|tunnel/process\\.ts)',
      },
      "a program's entry runs when it is loaded",
    ),
    never(
      'src-knows-no-tests',
      { path: SRC },
      { path: '^(?:test|bench)/' },
      'what ships must build without its tests',
    ),
    never(
      'src-needs-no-tools',
      { path: SRC, pathNot: room('demo') },
      { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
      'an installation has no development packages',
    ),
    never(
      'no-cycles',
      { path: SRC },
      { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
      'a cycle has no first file to read and no part to test alone (types alone may refer to each other)',
    ),
    never(
      'no-lost-imports',
      {},
      { couldNotResolve: true },
      'an import that leads nowhere is not checked by the rules above',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'require'],
    },
  },
};
