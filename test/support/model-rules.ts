/** What must hold whenever the model plans or acts. */
import type { Action } from '../../src/core/action.ts';
import { issued } from '../../src/core/issued.ts';
import { isSessionLimit } from '../../src/core/ngrok-codes.ts';
import type { Observed, TunnelView } from '../../src/core/observed.ts';
import { type Desired, type Plan, plan } from '../../src/core/plan.ts';

import type { ModelWorld } from './model-world.ts';

const VAULT_ACTIONS: readonly string[] = ['commit', 'rollback', 'break-first', 'finish-swap', 'fall-back'];

/** A plan is whole at once, and says nothing else before its wake-up. */
export const checkPlan = (world: ModelWorld, d: Desired, next: Plan, now: number): void => {
  if (next.wakeAt !== null && next.wakeAt <= now) world.fail('wakes in the past');
  const vault = next.actions.filter((a) => VAULT_ACTIONS.includes(a.kind));
  if (vault.length > 1) world.fail('two changes of the vault in one plan');
  if (vault.length === 1 && vault[0] !== next.actions.at(-1))
    world.fail('a change of the vault is not the last');
  if (vault.length > 0) return;
  const marked = next.actions.reduce<Observed>(
    (o, action) => issued(o, action, 'next', 1, now),
    world.observed,
  );
  const again = plan(d, marked, now);
  if (again.actions.length > 0 && next.actions.length > 0)
    world.fail(
      `asks again for ${again.actions.map((a) => a.kind).join()} after ${next.actions.map((a) => a.kind).join()}`,
    );
  if (next.actions.length > 0) return;
  const until = next.wakeAt ?? now + 100_000_000;
  for (const share of [0.3, 0.999]) {
    const early = plan(d, world.observed, now + (until - now) * share);
    if (early.actions.length > 0)
      world.fail(`would have ${early.actions.map((a) => a.kind).join()} to do before it wakes`);
  }
};

const isOpen = (t: TunnelView, name: string): boolean =>
  t.endpoints[name]?.phase === 'bound' || t.endpoints[name]?.phase === 'serving';

/** Another tunnel serves `name`, and is connected. */
const isServedBeside = (world: ModelWorld, t: TunnelView, name: string): boolean =>
  world.observed.tunnels.some(
    (x) => x !== t && x.phase === 'connected' && x.endpoints[name]?.phase === 'serving',
  );

/** The account has no room for two sessions, and one of ours must go for the other. */
const isForced = (world: ModelWorld, d: Desired): boolean =>
  (d.swap?.phase === 'staged' && d.swap.breakFirst) ||
  Object.values(world.observed.dial.held).some((h) => isSessionLimit(h.fault.ngrokCode) && h.attempt >= 2);

/** Taking `name` from `t` costs no service that could be had. */
const checkLoss = (world: ModelWorld, d: Desired, t: TunnelView, name: string, action: Action): void => {
  const wanted = d.endpoints.get(name);
  const view = t.endpoints[name];
  if (wanted === undefined || view === undefined || !isOpen(t, name)) return;
  if (t.phase !== 'connected' || isServedBeside(world, t, name)) return;
  if (action.kind === 'unbind' && (wanted.key !== view.key || !wanted.spec.pooling)) return;
  if (isForced(world, d)) return;
  // On its way to another token, what that one may not open is lost.
  const isRefusedThere = world.observed.bindRefusals.some(
    (r) => r.endpoint === name && r.key === wanted.key && r.slot === d.current,
  );
  if ((t.slot !== d.current || t.epoch < 0) && isRefusedThere) return;
  // A change of its spec that no other carrier would have to wait for.
  if (wanted.key !== view.key && world.observed.tunnels.some((x) => x !== t && isOpen(x, name))) return;
  world.fail(
    `${action.kind} of ${t.id} takes ${name} down, which is wanted, healthy and served nowhere else`,
  );
};

export const checkAction = (world: ModelWorld, d: Desired, action: Action): void => {
  if (action.kind === 'start') {
    if (!d.session) world.fail('starts while no session is wanted');
    const isBusy = world.alive().some((p) => p.state === 'connecting' && !p.isKilled);
    if (isBusy) world.fail('starts while another process connects');
    return;
  }
  if (action.kind === 'commit') {
    checkCommit(world, d);
    return;
  }
  if (!('tunnel' in action)) return;
  const t = world.observed.tunnels.find((x) => x.id === action.tunnel);
  if (t === undefined) world.fail(`${action.kind} of a tunnel that is none`);
  if (action.kind === 'bind') {
    if (t.endpoints[action.spec.name] !== undefined) world.fail(`binds ${action.spec.name} twice`);
    if (t.phase !== 'connected') world.fail('binds without a session');
    return;
  }
  if (!d.session) return;
  if (action.kind === 'unbind') checkLoss(world, d, t, action.endpoint, action);
  else for (const name of Object.keys(t.endpoints)) checkLoss(world, d, t, name, action);
  const isOld = d.swap?.phase === 'staged' && t.slot === d.current && t.phase === 'connected';
  if (isOld && action.kind !== 'unbind' && !isForced(world, d)) {
    // Of two on the old token one may go when the other does its work, as after a restart.
    const isDoubled = world.observed.tunnels.some(
      (x) => x !== t && x.slot === t.slot && x.phase === 'connected',
    );
    if (!isDoubled) world.fail(`${action.kind} of the old session before the commit`);
  }
};

/** A token is committed only when a tunnel on it serves what the old one could. */
const checkCommit = (world: ModelWorld, d: Desired): void => {
  const { swap } = d;
  if (swap === null) world.fail('commits without a swap');
  const token = world.vault[swap.to]?.authtoken;
  const tunnel = world.observed.tunnels.findLast((t) => t.slot === swap.to && t.phase === 'connected');
  if (tunnel === undefined || world.processes.get(tunnel.id)?.token !== token)
    world.fail('commits a token that has no session');
  for (const [name, { key }] of d.endpoints) {
    const view = tunnel.endpoints[name];
    const isServed = view?.key === key && view.phase === 'serving';
    const isRefused = world.observed.bindRefusals.some((r) => r.endpoint === name && r.slot === swap.to);
    if (!isServed && !isRefused) world.fail(`commits though ${name} is neither served nor refused`);
  }
};
