/** Loads `config.json` and the environment into one checked, frozen `Config`, or explains everything that is wrong. */
import { resolve } from 'node:path';
import { type Fault, fault } from '../core/errors.ts';
import { checkBrokerTrust, type Lookup } from './broker-trust.ts';
import type { Config } from './config.ts';
import { type EnvironmentReading, overlay, readEnvironment } from './environment.ts';
import { normalise } from './normalise.ts';
import { type PolicyTexts, readPolicies } from './policies.ts';
import { type ConfigProblem, formatProblem, isWithin, joinPath, problem } from './problem.ts';
import { checkRules } from './rules.ts';
import { checkSchema } from './schema-check.ts';
import { findSecrets } from './secret-guard.ts';
import { isOutOfSight } from './service-credentials.ts';
import { filePath, type ReadFile, readJsonFile } from './text-file.ts';

export interface LoadOptions {
  /** Path of the configuration file, relative to the current folder or absolute. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: ReadFile;
  readonly lookup: Lookup;
  /** True where the service itself is not running: its credentials may be out of sight then. */
  readonly isLookOnly?: boolean;
}

/** A configuration ready for use. `warnings` are sentences for the log: nothing is wrong, but somebody should know. */
export interface LoadedConfig {
  readonly config: Config;
  readonly policyTexts: PolicyTexts;
  readonly warnings: readonly string[];
}

/** `fault.message` is the first problem as one line, `lines` are all of them. Ends the program with exit code 78. */
export type LoadResult =
  | { readonly ok: true; readonly value: LoadedConfig }
  | { readonly ok: false; readonly fault: Fault; readonly lines: readonly string[] };

const MAX_CONFIG_BYTES = 1_048_576;
const MAX_KEYS_BYTES = 65_536;

const refused = (problems: readonly ConfigProblem[]): LoadResult => {
  const lines = problems.map(formatProblem);
  return {
    ok: false,
    fault: fault('CONFIG_INVALID', lines[0] ?? 'The configuration is not valid.', false),
    lines,
  };
};

/** Numbers stand for the versions too: `"protocol": 5` says what `"protocol": "5"` says. */
const protocolAsText = (merged: unknown): unknown => {
  const { mqtt } = merged as { readonly mqtt?: { readonly protocol?: unknown } };
  return typeof mqtt?.protocol === 'number'
    ? { ...(merged as object), mqtt: { ...mqtt, protocol: String(mqtt.protocol) } }
    : merged;
};

/** Names the source of a problem: the variable that set the key, or the file; and a variable that is set but empty. */
const withSource = (
  found: ConfigProblem,
  file: string,
  { values, empty }: EnvironmentReading,
): ConfigProblem => {
  if (found.source !== undefined) return found;
  const setter = values.find(({ leaf }) => isWithin(found.path, joinPath(leaf.keys)));
  if (setter !== undefined) return { ...found, source: setter.leaf.variable };
  const blank = empty.find(({ keys }) => joinPath(keys) === found.path);
  const note = blank === undefined ? '' : ` (${blank.variable} is set but empty, which counts as not set)`;
  return { ...found, message: found.message + note, source: file };
};

/** What needs the disk or the network: the keys file, the policies, the broker's address. */
const checkWorld = async (
  config: Config,
  { env, readFile, lookup, isLookOnly }: LoadOptions,
): Promise<{ readonly policyTexts: PolicyTexts; readonly problems: readonly ConfigProblem[] }> => {
  const policies = await readPolicies(config.policies, readFile);
  const problems = [...policies.problems, ...(await checkBrokerTrust(config, lookup))];
  const isSeen = isLookOnly !== true || !isOutOfSight(config.trust.keysFile, env);
  if (config.trust.keysFile !== '' && isSeen) {
    const path = filePath(config.trust.keysFile, env['CREDENTIALS_DIRECTORY']);
    const keys =
      path === null
        ? { ok: false as const, problem: `${config.trust.keysFile} is not in a credentials folder` }
        : await readJsonFile(readFile, path, MAX_KEYS_BYTES);
    if (!keys.ok) problems.push(problem('trust.keysFile', `names a file that will not do: ${keys.problem}`));
  }
  return { policyTexts: policies.texts, problems };
};

const warningsOf = ({ http, trust, ngrok }: Config): readonly string[] => [
  ...(trust.mode === 'broker' ? ['trust.mode is broker: whoever may publish on the broker is believed'] : []),
  ...(http.listen !== '' && http.tokenFile === '' && (http.page || http.metrics)
    ? ['http.tokenFile is not set: the page and the metrics refuse everybody']
    : []),
  ...(ngrok.authtokenFile === '' ? ['ngrok.authtokenFile is not set: an authtoken comes by rekey only'] : []),
];

/**
 * Loads, merges (environment over file), checks and normalises. Nothing is printed; values of texts never appear in a
 * problem, so that a secret in the wrong place is not repeated.
 */
export const loadConfig = async (options: LoadOptions): Promise<LoadResult> => {
  const { env, readFile } = options;
  const file = resolve(options.file);
  const environment = readEnvironment(env);
  const json = await readJsonFile(readFile, file, MAX_CONFIG_BYTES);
  if (!json.ok) return refused([problem('', json.problem), ...environment.problems]);
  if (typeof json.value !== 'object' || json.value === null || Array.isArray(json.value)) {
    return refused([problem('', `${file} must hold a JSON object`), ...environment.problems]);
  }

  const merged = protocolAsText(overlay(json.value, environment.values));
  const schema = checkSchema(merged);
  const secrets = findSecrets(merged);
  const formal = [...environment.problems, ...schema.problems, ...secrets];
  const rules = checkRules(schema.value, formal, { timeZone: env['TZ'] });
  const problems = [...formal, ...rules].map((found) => withSource(found, file, environment));
  if (problems.length > 0) return refused(problems);

  const config = normalise(schema.value, resolve(file, '..'));
  const world = await checkWorld(config, options);
  if (world.problems.length > 0) {
    return refused(world.problems.map((found) => withSource(found, file, environment)));
  }
  return { ok: true, value: { config, policyTexts: world.policyTexts, warnings: warningsOf(config) } };
};
