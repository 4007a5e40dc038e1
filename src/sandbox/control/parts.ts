import type { SandboxAccounts } from '../api/accounts.ts';
import type { Api } from '../api/server.ts';
import type { Broker } from '../broker.ts';
import type { Edge } from '../edge/edge.ts';

/** What the control door acts on. */
export interface ControlParts {
  readonly edge: Edge;
  readonly accounts: SandboxAccounts;
  readonly api: Api;
  readonly broker: Broker;
}
