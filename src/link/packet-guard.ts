/**
 * Cuts oversized PUBLISH packets while they arrive, so that a 3.1.1 broker, which has no packet limit to be told,
 * cannot make the device hold megabytes. Pure: bytes in, bytes out, a few numbers of state.
 */

/** Payloads up to here pass whole; it is also the Maximum Packet Size told to MQTT 5 brokers. */
export const MAX_PAYLOAD_BYTES = 65_536;

/**
 * Longest remaining length that passes. Room for the longest topic (65,535) and ids besides a payload of more than
 * MAX_PAYLOAD_BYTES: so a cut payload is always recognised by its length.
 */
const MAX_REMAINING_BYTES = 135_168;

type Phase =
  | { readonly at: 'type' }
  | { readonly at: 'length'; readonly type: number; readonly value: number; readonly shift: number }
  | { readonly at: 'body'; readonly pass: number; readonly drop: number };

export interface PacketGuard {
  /** Takes what the socket gave, returns what the parser may see. Throws on a length that MQTT does not allow. */
  push(chunk: Uint8Array): readonly Buffer[];
}

const encodeLength = (type: number, length: number): Buffer => {
  const bytes = [type];
  let rest = length;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
};

export const createPacketGuard = (): PacketGuard => {
  let phase: Phase = { at: 'type' };

  const begin = (type: number, length: number): Buffer => {
    const pass = Math.min(length, MAX_REMAINING_BYTES);
    phase = length === 0 ? { at: 'type' } : { at: 'body', pass, drop: length - pass };
    return encodeLength(type, pass);
  };

  return {
    push(chunk) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const out: Buffer[] = [];
      let i = 0;
      while (i < bytes.length) {
        if (phase.at === 'body') {
          const take = Math.min(phase.pass, bytes.length - i);
          if (take > 0) out.push(bytes.subarray(i, i + take));
          const drop = Math.min(phase.drop, bytes.length - i - take);
          i += take + drop;
          const rest = { pass: phase.pass - take, drop: phase.drop - drop };
          phase = rest.pass + rest.drop === 0 ? { at: 'type' } : { at: 'body', ...rest };
          continue;
        }
        const byte = bytes[i] ?? 0;
        i += 1;
        if (phase.at === 'type') {
          phase = { at: 'length', type: byte, value: 0, shift: 0 };
          continue;
        }
        if (phase.shift > 21) throw new Error('malformed remaining length');
        const value: number = phase.value + (byte & 0x7f) * 2 ** phase.shift;
        if (byte & 0x80) phase = { ...phase, value, shift: phase.shift + 7 };
        else out.push(begin(phase.type, value));
      }
      return out;
    },
  };
};
