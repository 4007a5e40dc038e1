/**
 * Writes docs/configuration.md from the schema. With `--check` it writes nothing and ends with 1 when the page is not
 * what the schema says.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { LEAVES, ROOT, type SchemaNode, valuesOf } from '../src/config/schema-keys.ts';

const PAGE = new URL('configuration.md', import.meta.url);

const INTRO = `# Configuration

\`lockkeeperd\` reads one JSON file, \`--config FILE\`. This page lists every key; it is written from the schema
(\`npm run docs\`). \`config.example.json\` shows all of them together, \`lockkeeperd --check --config FILE\` validates a
file and prints what is in force. A configuration that is not valid ends the daemon with exit code 78; the first line
on standard error names the key and what is wrong with it.

- **Environment.** Every key in the tables with a variable may also come from the environment, and then wins over the
  file. Maps and lists are JSON text there. A variable that is set but empty counts as not set. A \`LOCKKEEPER_…\`
  variable that is no key is an error. \`LOCKKEEPER_PROFILE\` belongs to the command line.
- **Secrets** are never values, neither here nor in the environment: they have \`…File\` keys. \`credential:NAME\` means
  the file NAME in systemd's credentials folder.
- **Paths** that are relative count from the configuration file's folder.
- **Files** may begin with a byte order mark and have CRLF line ends.
- **Proxies.** The daemon uses none: HTTP_PROXY and its kind do not reach it or its tunnels. Requests of \`lockkeeper\`
  to the ngrok API follow them when NODE_USE_ENV_PROXY is set, requests to this machine never do.
`;

const OUTRO = `## Upstreams

An endpoint's \`upstream\` is a name from \`upstreams\`, or a URL that an entry of \`allowUpstreams\` covers: scheme, host
and port must all be equal. \`tcp://192.168.7.0/24:502\` and \`tcp://[fd00:7::]/64:502\` cover every address of a network;
a host name is covered by the same name only. An empty list allows named upstreams alone. URLs are
\`http://HOST[:PORT]\`, \`https://HOST[:PORT]\`, \`tcp://HOST:PORT\` or \`tls://HOST:PORT\`, without user, path, query or
fragment; IPv6 addresses stand in brackets. Link-local, multicast, unspecified, broadcast and cloud metadata addresses
are always refused, and so are the daemon's own page and its broker.

An \`https://\` or \`tls://\` upstream with a certificate of its own making needs \`caFile\` (trusted for this upstream
only), perhaps \`serverName\` (the name in the certificate), or \`"verify": false\`.

## Windows

\`DAYS START-END [ZONE]\`: \`mon-fri 08:00-17:00\`, \`sat,sun 22:00-02:00 Europe/Berlin\`, \`daily 00:00-24:00\`. An end at or
before the start is on the next day. Without a zone the device's own counts. A window opens once a day, also in the
nights when clocks change: one that begins in the hour that is left out opens at the first moment after it, one that
begins in the hour that comes twice opens at its first coming. A command overrides windows.

## Trust

With \`trust.mode\` \`signed\` (the default) \`trust.keysFile\` is required:
\`{"v":1,"root":[{"kid","x"}],"set":"…"}\`, as \`lockkeeper keys\` writes it. With \`broker\` whoever may publish is
believed; the broker's host must then be loopback or private.
`;

const code = (value: unknown): string => `\`${JSON.stringify(value)}\``;

/** Kind, choices and bounds of a key. */
const kindOf = (node: SchemaNode): string => {
  if (node.enum !== undefined) return node.enum.map((choice) => `\`${choice}\``).join(', ');
  if (node.type === 'integer') return `${node.minimum} to ${node.maximum} ${node.unit ?? ''}`.trim();
  if (node.type === 'boolean') return '`true`, `false`';
  if (node.type === 'array') return `list${node.unit === undefined ? '' : ` of ${node.unit}`}`;
  if (valuesOf(node) !== null) return 'map';
  if (node.type === 'string') return node.unit ?? node.wanted ?? 'text';
  return 'object or `null`';
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

/** To the validator every key is required once defaults are filled in; to people only one that has no default. */
const defaultOf = (node: SchemaNode, isRequired: boolean): string =>
  node.default !== undefined ? code(node.default) : isRequired ? 'required' : '';

/** Sections as they are met: the keys that hold values themselves, then each object's. */
const sectionTable = (name: string, node: SchemaNode): string => {
  const leaves = LEAVES.filter(({ keys }) => keys[0] === name);
  const rows = leaves.map(({ keys, node: leaf, variable }) => {
    const isRequired = node.required?.includes(keys.at(-1) ?? '') ?? false;
    return [
      `\`${keys.join('.')}\``,
      kindOf(leaf),
      defaultOf(leaf, isRequired),
      leaf.description ?? '',
      `\`${variable}\``,
    ];
  });
  return table(['key', 'takes', 'default', 'meaning', 'variable'], rows);
};

/** The keys of an object inside a map or list, and of the objects inside that. */
const innerRows = (path: string, node: SchemaNode): readonly (readonly string[])[] =>
  Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
    [
      `\`${path}.${key}\``,
      kindOf(child),
      defaultOf(child, node.required?.includes(key) ?? false),
      child.description ?? '',
    ],
    ...innerRows(`${path}.${key}`, child),
  ]);

const section = (name: string, node: SchemaNode): string => {
  const inner = valuesOf(node) ?? node.items;
  const path = node.items === undefined ? `${name}.NAME` : `${name}[]`;
  const rows = inner === undefined ? [] : innerRows(path, inner);
  const keys = rows.length === 0 ? '' : `\n\n${table(['key', 'takes', 'default', 'meaning'], rows)}`;
  return `## ${name}\n\n${node.description}\n\n${sectionTable(name, node)}${keys}\n`;
};

/** The whole page, as it must be. */
export const configurationPage = (): string =>
  [INTRO, ...Object.entries(ROOT.properties ?? {}).map(([name, node]) => section(name, node)), OUTRO].join(
    '\n',
  );

if (import.meta.main) {
  const page = configurationPage();
  if (!process.argv.includes('--check')) await writeFile(PAGE, page);
  else if ((await readFile(PAGE, 'utf8').catch(() => '')) !== page) {
    process.stderr.write(
      'docs/configuration.md is not what the schema says; write it anew with npm run docs\n',
    );
    process.exitCode = 1;
  }
}
