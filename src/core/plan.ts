/**
 * The heart: desired and observed state in, actions out. Pure and level-triggered: it never learns why it was woken, and
 * asking twice with the actions of the first answer marked as issued yields nothing new. Actions that change the vault
 * come last, and are to be carried out before the next question.
 */
import type { Desired } from './desired.ts';
import type { Observed } from './observed.ts';
import { collector, type Plan } from './plan-collector.ts';
import { planEndpoints } from './plan-endpoints.ts';
import { rolesOf } from './plan-roles.ts';
import { planBreak, planDead, planDiscarded, planStart, planStop } from './plan-session.ts';
import { planSwap, planSwapDeadline, planSwapFinish } from './plan-swap.ts';
import { planTakeover } from './plan-takeover.ts';

export type { Desired, WantedBind } from './desired.ts';
export type { Plan } from './plan-collector.ts';

/** The plan for this moment. */
export const plan = (d: Desired, o: Observed, now: number): Plan => {
  const c = collector(now);
  if (!d.session) {
    planStop(o, c);
    if (!planSwapDeadline(d, c)) planSwapFinish(d, o, c);
    return c.done();
  }
  const roles = rolesOf(d, o);
  planDead(o, roles, c);
  if (planSwap(d, o, roles, c) || planTakeover(d, o, roles, c)) return c.done();
  planDiscarded(d, roles, c);
  planBreak(d, roles, c);
  planStart(d, o, roles, now, c);
  planEndpoints(d, o, roles, c);
  return c.done();
};
