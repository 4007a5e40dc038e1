import type { Clock } from '../../core/clock.ts';
import type { Accounts, FrontEnd } from '../contract.ts';
import type { EdgeEvents, RefusedBind } from './events.ts';
import type { Registry } from './registry.ts';
import type { SessionBook } from './session-book.ts';
import type { EdgeSettings } from './settings.ts';
import type { TcpPorts } from './tcp-ports.ts';

/** What the parts of one edge share. */
export interface EdgeContext {
  readonly domain: string;
  readonly region: string;
  readonly plan: string;
  readonly clock: Clock;
  readonly accounts: Accounts;
  readonly frontEnd: () => FrontEnd;
  readonly settings: EdgeSettings;
  readonly events: EdgeEvents;
  readonly sessions: SessionBook;
  readonly registry: Registry;
  readonly tcpPorts: TcpPorts;
  /** True while the edge plays a black hole. */
  readonly isSilent: () => boolean;
  /** How much later every RPC answer leaves. */
  readonly answerDelayMs: () => number;
  readonly refused: (refusal: RefusedBind) => void;
}
