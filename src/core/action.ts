/** What the plan can ask for. The executor has one entry for each kind; a new kind without one does not compile. */
import type { BindSpec } from './endpoint.ts';
import type { Fault } from './errors.ts';
import type { Slot, TunnelId } from './tunnel-event.ts';

export type Action =
  | {
      readonly kind: 'start';
      readonly slot: Slot;
      readonly epoch: number;
      readonly connectDeadlineMs: number;
    }
  | { readonly kind: 'bind'; readonly tunnel: TunnelId; readonly spec: BindSpec; readonly key: string }
  | { readonly kind: 'unbind'; readonly tunnel: TunnelId; readonly endpoint: string }
  | { readonly kind: 'drain'; readonly tunnel: TunnelId }
  | { readonly kind: 'kill'; readonly tunnel: TunnelId }
  /** `tcp`: is the port open. `tls`: does a handshake complete, while a slow connect is under way. */
  | { readonly kind: 'probe'; readonly depth: 'tcp' | 'tls' }
  /** The staged slot proved itself: make it the current one, durably, before the old one is touched. */
  | { readonly kind: 'commit' }
  /** The staged slot failed: forget it, go on with the current one. */
  | { readonly kind: 'rollback'; readonly fault: Fault }
  /** The account has no room for two sessions: end the old one first. */
  | { readonly kind: 'break-first'; readonly fault: Fault }
  /** Nothing of the old slot runs any more. */
  | { readonly kind: 'finish-swap' }
  /** The current token is refused and the other slot holds one that worked: use that. */
  | { readonly kind: 'fall-back'; readonly to: Slot; readonly fault: Fault };

export type ActionKind = Action['kind'];
