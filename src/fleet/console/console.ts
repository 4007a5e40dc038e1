/** Joins the fleet, live, with the console's web server. */
import type { Clock } from '../../core/clock.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import type { Signer } from '../../protocol/signing-key.ts';
import { type DeviceBook, seqSource } from '../device-book.ts';
import type { FleetLink } from '../fleet-link.ts';
import { sendCommand } from '../send-command.ts';
import type { DeviceRow } from '../watch/device-row.ts';
import type { FleetTracker } from '../watch/tracker.ts';
import type { ConsoleCommand, ConsolePorts } from './console-server.ts';
import type { ConsoleDoor } from './door.ts';
import { rotationView } from './rotation-progress.ts';

export interface ConsoleOptions {
  readonly link: FleetLink;
  readonly tracker: FleetTracker;
  readonly door: ConsoleDoor;
  readonly clock: Clock;
  readonly book: DeviceBook;
  /** Null sends unsigned. A fault is why no command can be sent; the fleet is shown all the same. */
  readonly signer: Result<Signer | null>;
  readonly hasApi: boolean;
}

/** Changes are sent together, so often at most. */
const BATCH_MS = 250;
const COMMAND_TIMEOUT_S = 40;

/** What the page sees of a device: no ids of credentials' owners, no ACLs. */
const shownRow = ({ credentials, sessions, ...row }: DeviceRow) => ({
  ...row,
  token: credentials[0]?.ageS ?? null,
  credentials: credentials.length,
  sessions: sessions.map(({ ip, region }) => ({ ip, region })),
});

/** Makes the server's ports. */
export const createConsolePorts = (options: ConsoleOptions): ConsolePorts => {
  const { link, tracker, clock, signer, book } = options;
  const head = () => {
    const facts = tracker.facts();
    return {
      tenant: link.tenant,
      nowMs: clock.wall(),
      link: link.status().state,
      hasApi: options.hasApi,
      canCommand: signer.ok,
      rotation:
        facts === null
          ? null
          : rotationView(facts, (device) => tracker.rows().get(device)?.generation ?? null),
    };
  };

  const command = async ({ device, endpoint, verb, leaseS }: ConsoleCommand): Promise<Result<object>> => {
    if (!signer.ok) return signer;
    const sent = await sendCommand(link, {
      device,
      op: verb,
      args: { ep: endpoint, ...(leaseS === null ? {} : { lease_s: leaseS }) },
      signer: signer.value,
      nextSeq: seqSource(book, device, signer.value, clock),
      timeoutS: COMMAND_TIMEOUT_S,
      clock,
    });
    if (!sent.ok) return sent;
    if (sent.value.kind === 'silent')
      return failed(fault('DEADLINE', `${device} has not answered in time; it may still do it.`, true));
    const { status, code, msg, out } = sent.value.result;
    return ok({ status, code: code ?? null, message: msg ?? null, out: out ?? {} });
  };

  return {
    door: options.door,
    snapshot: () => ({ v: 1, ...head(), devices: [...tracker.rows().values()].map(shownRow) }),
    command,
    follow(send) {
      const changed = new Map<string, DeviceRow>();
      let lastHead = '';
      let cancel: (() => void) | null = null;
      const flush = (): void => {
        cancel = null;
        if (changed.size > 0) send('rows', [...changed.values()].map(shownRow));
        changed.clear();
      };
      const stopRows = tracker.onRow((row) => {
        changed.set(row.device, row);
        cancel ??= clock.after(BATCH_MS, flush);
      });
      const tellHead = (): void => {
        const next = head();
        const key = JSON.stringify({ ...next, nowMs: 0 });
        if (key !== lastHead) send('head', next);
        lastHead = key;
      };
      tellHead();
      // The link tells nobody that it went; a look once a second is soon enough for a person.
      let stopLooking: () => void = () => undefined;
      const look = (): void => {
        stopLooking = clock.after(1000, () => {
          tellHead();
          look();
        });
      };
      look();
      return () => {
        stopRows();
        stopLooking();
        cancel?.();
      };
    },
  };
};
