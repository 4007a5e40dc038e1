import type { Refusal } from '../contract.ts';

/** ngrok's code for a Traffic Policy (and here: any bind option) that the edge cannot carry out. */
const CANNOT_HONOUR = 'ERR_NGROK_9026';

/** Breaks out of compiling bind options; caught where compiling began and shown to nobody. */
export class RefusedBind extends Error {
  override readonly name = 'RefusedBind';
}

/** Gives a bind up because of an option that is wrong or not supported. */
export const refuse = (message: string): never => {
  throw new RefusedBind(message);
};

/** The refusal as the agent gets it. */
export const refusal = (error: RefusedBind): Refusal => ({ code: CANNOT_HONOUR, message: error.message });
