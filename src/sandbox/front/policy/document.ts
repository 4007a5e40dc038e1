import { parse } from 'yaml';
import { isOptions, type Options, optionsAt, stringAt, stringsAt } from '../option-values.ts';
import { refuse } from '../refused-bind.ts';

/** When a rule is looked at. */
const PHASES = ['on_tcp_connect', 'on_http_request', 'on_http_response'] as const;
export type Phase = (typeof PHASES)[number];

interface ActionSpec {
  readonly type: string;
  readonly config: Options;
}

export interface RuleSpec {
  /** For messages: the rule's name, or its place. */
  readonly name: string;
  /** All must hold; none means always. */
  readonly expressions: readonly string[];
  readonly actions: readonly ActionSpec[];
}

export type PolicyDocument = Readonly<Record<Phase, readonly RuleSpec[]>>;

/** Large policies are a mistake or an attack. */
const MOST_POLICY_CHARS = 256 * 1024;

/**
 * Reads a Traffic Policy from JSON or YAML text. The old names `inbound` and `outbound` stand for the phases of the
 * endpoint's kind. Throws `RefusedBind` for whatever it does not know.
 */
export const readPolicy = (text: string, kind: 'http' | 'tcp'): PolicyDocument => {
  const phases: Record<Phase, RuleSpec[]> = {
    on_tcp_connect: [],
    on_http_request: [],
    on_http_response: [],
  };
  const document = parsed(text);
  if (document === null) return phases;
  for (const [key, value] of Object.entries(document)) {
    if (key.toLowerCase() === 'enabled') {
      if (value === false) refuse('A Traffic Policy that is switched off is not supported: leave it out.');
      continue;
    }
    const phase = phaseOf(key.toLowerCase(), kind);
    const isForHttp = phase !== 'on_tcp_connect';
    if (kind === 'tcp' && isForHttp) refuse(`The phase ${key} needs an http or https endpoint.`);
    phases[phase].push(...rulesOf(key, value));
  }
  return phases;
};

const parsed = (text: string): Options | null => {
  if (text.length > MOST_POLICY_CHARS) refuse('The Traffic Policy is too long.');
  let value: unknown;
  try {
    // JSON is YAML, but for the rare text that only one of them takes.
    value = text.trimStart().startsWith('{') ? JSON.parse(text) : parse(text, { maxAliasCount: 0 });
  } catch {
    return refuse('The Traffic Policy is neither JSON nor YAML.');
  }
  if (value === null || value === undefined) return null;
  return isOptions(value) ? value : refuse('The Traffic Policy must be an object of phases.');
};

const phaseOf = (key: string, kind: 'http' | 'tcp'): Phase => {
  if (key === 'inbound') return kind === 'http' ? 'on_http_request' : 'on_tcp_connect';
  if (key === 'outbound') return 'on_http_response';
  return PHASES.find((phase) => phase === key) ?? refuse(`The phase ${key} is not supported by this edge.`);
};

/** Member names of rules and actions in lower case: old policies write them with a capital. */
const lowerKeys = (value: Options): Options =>
  Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toLowerCase(), member]));

const rulesOf = (phase: string, value: unknown): RuleSpec[] => {
  if (value === null) return [];
  if (!Array.isArray(value)) return refuse(`${phase} must be a list of rules.`);
  return value.map((item: unknown, index) => {
    const rule = isOptions(item)
      ? lowerKeys(item)
      : refuse(`Rule ${index + 1} of ${phase} must be an object.`);
    onlyKeys(rule, ['name', 'expressions', 'actions'], `Rule ${index + 1} of ${phase}`);
    const name = stringAt(rule, 'name') ?? `${phase}[${index}]`;
    const actions = rule['actions'];
    if (!Array.isArray(actions) || actions.length === 0) return refuse(`The rule ${name} has no actions.`);
    return {
      name,
      expressions: stringsAt(rule, 'expressions'),
      actions: actions.map((action: unknown) => actionOf(name, action)),
    };
  });
};

const actionOf = (rule: string, value: unknown): ActionSpec => {
  const action = isOptions(value) ? lowerKeys(value) : refuse(`An action of ${rule} must be an object.`);
  onlyKeys(action, ['type', 'config'], `An action of ${rule}`);
  return {
    type: stringAt(action, 'type') ?? refuse(`An action of ${rule} has no type.`),
    config: optionsAt(action, 'config') ?? {},
  };
};

/** Refuses members that nobody would carry out. */
export const onlyKeys = (value: Options, known: readonly string[], where: string): void => {
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) refuse(`${where}: ${key} is not supported by this edge.`);
  }
};
