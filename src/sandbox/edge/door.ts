import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { Gate } from './gate.ts';

/** An agent's connection before anything is known about it. */
export interface Knock {
  readonly socket: TLSSocket;
  readonly remoteAddr: string;
  cut(how: 'fin' | 'rst'): void;
}

/** The agent port: accepts TCP, speaks TLS, and can refuse or fall silent as a network does. */
export class Door {
  readonly #host: string;
  readonly #context: SecureContext;
  readonly #onKnock: (knock: Knock) => void;
  readonly #gates = new Set<Gate>();
  #server: net.Server | null = null;
  #port = 0;
  #isSilent = false;
  /** Opening and closing of the port happen one after the other. */
  #turn: Promise<void> = Promise.resolve();

  constructor(host: string, context: SecureContext, onKnock: (knock: Knock) => void) {
    this.#host = host;
    this.#context = context;
    this.#onKnock = onKnock;
  }

  get port(): number {
    return this.#port;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Starts listening on `port` (0 = any); rejects when it is taken. */
  async listen(port: number): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true }, (raw) => this.#onConnection(raw));
    server.listen(port, this.#host);
    await once(server, 'listening');
    const address = server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
    this.#server = server;
  }

  /** Closes the port, so that dialling is refused, or opens the same port again. Live connections stay. */
  refuse(isOn: boolean): Promise<void> {
    const turn = this.#turn.then(async () => {
      if (isOn) this.#stopListening();
      else if (this.#server === null) await this.listen(this.#port);
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Freezes all connections, present and future; off: everything goes on where it stood. */
  silence(isOn: boolean): void {
    this.#isSilent = isOn;
    for (const gate of this.#gates) {
      if (isOn) gate.freeze();
      else gate.thaw();
    }
  }

  /** Cuts every connection, those in their handshake and frozen ones too. */
  cutAll(how: 'fin' | 'rst'): void {
    for (const gate of [...this.#gates]) gate.cut(how);
  }

  /** Stops listening and cuts every connection, those in their handshake too. */
  async close(): Promise<void> {
    await this.#turn;
    this.#stopListening();
    this.cutAll('fin');
    for (const gate of [...this.#gates]) gate.destroy();
  }

  #stopListening(): void {
    // Node stops listening at once; the callback would only come after the last connection.
    this.#server?.close();
    this.#server = null;
  }

  #onConnection(raw: Socket): void {
    const gate = new Gate(raw, this.#isSilent);
    this.#gates.add(gate);
    gate.on('close', () => this.#gates.delete(gate));
    gate.on('error', () => undefined);
    const remoteAddr = gate.remoteAddr;
    const socket = new TLSSocket(gate, { isServer: true, secureContext: this.#context });
    // Without a tls.Server around it, a TLS socket reports a broken record here and nowhere else.
    socket.on('_tlsError', () => gate.cut('fin'));
    this.#onKnock({ socket, remoteAddr, cut: (how) => gate.cut(how) });
  }
}
