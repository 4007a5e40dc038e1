import { type EdgeAnswer, edgeAnswer } from '../answer.ts';
import { type AddressTest, inAnyRange } from './cidr.ts';

/** Admits addresses in some allowed range (any, when none is named) and in no denied one. */
export const ipRestriction = (allow: readonly string[], deny: readonly string[]): AddressTest => {
  const isAllowed = inAnyRange(allow);
  const isDenied = inAnyRange(deny);
  return (ip) => (allow.length === 0 || isAllowed(ip)) && !isDenied(ip);
};

/** What a visitor outside of the ranges gets over HTTP. */
export const addressRefused = (ip: string): EdgeAnswer =>
  edgeAnswer(403, 'ERR_NGROK_3205', `The address ${ip} may not use this endpoint.`);
