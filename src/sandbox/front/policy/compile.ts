import type { Ends } from '../address.ts';
import type { EdgeAnswer } from '../answer.ts';
import type { RequestStage, ResponseStage } from '../stages.ts';
import { compileAction, type PolicyContext } from './actions.ts';
import { type Phase, type RuleSpec, readPolicy } from './document.ts';
import { compileCondition } from './expressions.ts';
import type { Scene } from './scene.ts';

/** A Traffic Policy ready to be carried out. */
export interface Policy {
  /** False when a rule for connections turns this one away. */
  readonly admits: (ends: Ends) => boolean;
  readonly onRequest: readonly RequestStage[];
  readonly onResponse: readonly ResponseStage[];
}

type Rule = (scene: Scene) => EdgeAnswer | null;

/** Compiles the text of a policy (empty: none); throws `RefusedBind` for what this edge cannot carry out. */
export const compilePolicy = (text: string, kind: 'http' | 'tcp', context: PolicyContext): Policy => {
  const document = readPolicy(text, kind);
  const rulesOf = (phase: Phase): Rule[] => document[phase].map((spec) => compileRule(spec, phase, context));
  const connect = rulesOf('on_tcp_connect');
  return {
    admits: (ends) =>
      connect.every((rule) => rule({ ends, visit: null, request: null, response: null }) === null),
    onRequest: rulesOf('on_http_request').map(
      (rule) => (request, visit) => rule({ ends: visit, visit, request, response: null }),
    ),
    onResponse: rulesOf('on_http_response').map(
      (rule) => (response, request, visit) => rule({ ends: visit, visit, request, response }),
    ),
  };
};

const compileRule = (spec: RuleSpec, phase: Phase, context: PolicyContext): Rule => {
  const conditions = spec.expressions.map((source) => compileCondition(source, phase));
  const actions = spec.actions.map(({ type, config }) => compileAction(type, config, phase, context));
  return (scene) => {
    if (!conditions.every((holds) => holds(scene))) return null;
    for (const act of actions) {
      const answer = act(scene);
      if (answer !== null) return answer;
    }
    return null;
  };
};
