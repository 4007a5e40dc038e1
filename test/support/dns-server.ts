/** A DNS server on loopback that knows CNAMEs only, for checks of what an operator should have set. */
import { createSocket } from 'node:dgram';
import { onTestFinished } from 'vitest';

export interface DnsServer {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  /** Targets by name; `*.NAME` answers for every name one level below. Mutable. */
  readonly cnames: Map<string, string>;
}

const HEADER = 12;

const readName = (packet: Buffer): { readonly name: string; readonly end: number } => {
  const labels: string[] = [];
  let at = HEADER;
  for (let length = packet[at] ?? 0; length > 0; length = packet[at] ?? 0) {
    labels.push(packet.subarray(at + 1, at + 1 + length).toString('latin1'));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
};

const writeName = (name: string): Buffer =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ]);

export const startDnsServer = async (): Promise<DnsServer> => {
  const cnames = new Map<string, string>();
  const socket = createSocket('udp4');
  socket.on('message', (packet, from) => {
    const { name, end } = readName(packet);
    const target = cnames.get(name) ?? cnames.get(name.replace(/^[^.]+/, '*'));
    const head = Buffer.from(packet.subarray(0, HEADER));
    // An answer that is authoritative; NXDOMAIN where there is none.
    head.writeUInt16BE(target === undefined ? 0x8583 : 0x8580, 2);
    head.writeUInt16BE(target === undefined ? 0 : 1, 6);
    head.writeUInt32BE(0, 8);
    const question = packet.subarray(HEADER, end + 4);
    const parts: Uint8Array[] = [head, question];
    if (target !== undefined) {
      const data = writeName(target);
      const record = Buffer.alloc(12);
      record.writeUInt16BE(0xc000 | HEADER, 0);
      record.writeUInt16BE(5, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(60, 6);
      record.writeUInt16BE(data.length, 10);
      parts.push(record, data);
    }
    socket.send(Buffer.concat(parts), from.port, from.address);
  });
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    socket.close();
  });
  return { address: `127.0.0.1:${socket.address().port}`, cnames };
};
