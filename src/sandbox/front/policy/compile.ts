import type { Ends } from '../address.ts';
import { refuse } from '../refused-bind.ts';
import type { RequestStage, ResponseStage } from '../stages.ts';

/** Takes what the `log` action writes. */
export type PolicyLog = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** A Traffic Policy ready to be carried out. */
export interface Policy {
  readonly admits: (ends: Ends) => boolean;
  readonly onRequest: readonly RequestStage[];
  readonly onResponse: readonly ResponseStage[];
}

/** Compiles the text of a policy; throws `RefusedBind`. */
export const compilePolicy = (text: string, _kind: 'http' | 'tcp', _context: unknown): Policy =>
  text === ''
    ? { admits: () => true, onRequest: [], onResponse: [] }
    : refuse('Traffic Policy is not supported.');
