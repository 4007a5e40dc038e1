import { badGateway, type EdgeAnswer, overloaded } from './answer.ts';

/** The error code of a proxy stream that was not opened because its session has no room for it. */
const STREAM_CAP = 'STREAM_CAP';

/** What a visitor gets when the agent's side failed before it answered. */
export const failureAnswer = (error: Error, host: string): EdgeAnswer =>
  'code' in error && error.code === STREAM_CAP ? overloaded(host) : badGateway(host);
