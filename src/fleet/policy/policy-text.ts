/** A Traffic Policy as its text means it: phases of rules of actions. Pure. */
import { parseDocument } from 'yaml';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord } from '../../protocol/strict-json.ts';

export const PHASES = ['on_tcp_connect', 'on_http_request', 'on_http_response'] as const;
export type Phase = (typeof PHASES)[number];

export type Options = Readonly<Record<string, unknown>>;

export interface PolicyAction {
  readonly type: string;
  readonly config: Options;
}

export interface PolicyRule {
  readonly phase: Phase;
  /** Its name, or its place: `on_http_request[2]`. */
  readonly name: string;
  /** None means: always. */
  readonly expressions: readonly string[];
  readonly actions: readonly PolicyAction[];
}

export interface PolicyText {
  /** The document as it was read, for writing a changed one. */
  readonly document: Options;
  readonly rules: readonly PolicyRule[];
}

const MAX_CHARS = 256 * 1024;
/** What the phases were called before. */
const OLD_PHASES: Readonly<Record<string, string>> = {
  inbound: 'on_http_request (on_tcp_connect for tcp and tls)',
  outbound: 'on_http_response',
};

const bad = (why: string) => failed(fault('BAD_ARGS', `The policy ${why}.`, false));

const actionOf = (value: unknown): PolicyAction | undefined => {
  const type = isRecord(value) ? value['type'] : undefined;
  if (!isRecord(value) || typeof type !== 'string') return undefined;
  const config = value['config'];
  if (config !== undefined && config !== null && !isRecord(config)) return undefined;
  return { type, config: config ?? {} };
};

const ruleOf = (phase: Phase, index: number, value: unknown): PolicyRule | string => {
  const place = `${phase}[${index + 1}]`;
  if (!isRecord(value)) return `has no rule at ${place}`;
  const { name, expressions, actions } = value;
  const conditions = expressions ?? [];
  if (!Array.isArray(conditions) || !conditions.every((text) => typeof text === 'string'))
    return `has expressions at ${place} that are no list of texts`;
  if (!Array.isArray(actions) || actions.length === 0) return `has no actions at ${place}`;
  const read = actions.map(actionOf);
  const whole = read.filter((action) => action !== undefined);
  if (whole.length < read.length) return `has an action without type at ${place}`;
  return { phase, name: typeof name === 'string' ? name : place, expressions: conditions, actions: whole };
};

/** Reads JSON or YAML. `BAD_ARGS` names the line, or the rule, that cannot be read. */
export const readPolicyText = (text: string): Result<PolicyText> => {
  if (text.length > MAX_CHARS) return bad('is longer than 256 KiB');
  const parsed = parseDocument(text.replace(/^\ufeff/, ''));
  const [error] = parsed.errors;
  if (error !== undefined) {
    const at = error.linePos?.[0];
    const where = at === undefined ? '' : ` at line ${at.line}, column ${at.col}`;
    return bad(`is neither JSON nor YAML${where}`);
  }
  const document: unknown = parsed.toJS({ maxAliasCount: 50 });
  if (!isRecord(document)) return bad('is no object of phases');
  const rules: PolicyRule[] = [];
  for (const [key, value] of Object.entries(document)) {
    const phase = PHASES.find((known) => known === key);
    if (phase === undefined) {
      const now = OLD_PHASES[key];
      return bad(
        now === undefined ? `has no phase named ${key.slice(0, 40)}` : `says ${key}, which is now ${now}`,
      );
    }
    if (value === null) continue;
    if (!Array.isArray(value)) return bad(`has no list of rules under ${key}`);
    for (const [index, item] of value.entries()) {
      const rule = ruleOf(phase, index, item);
      if (typeof rule === 'string') return bad(rule);
      rules.push(rule);
    }
  }
  return ok({ document, rules });
};
