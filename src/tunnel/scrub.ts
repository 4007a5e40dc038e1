/** What stands where a secret stood. */
const MASK = '[authtoken]';

/** ngrok's authtokens: letters and digits, an underscore, letters and digits. */
const TOKEN_FORM = /\b[0-9A-Za-z]{15,}_[0-9A-Za-z]{15,}\b/g;

/** Shorter texts than this would blank out ordinary words. */
const MIN_SECRET_CHARS = 4;

/**
 * Takes authtokens out of a text from outside: each of `secrets` wherever it stands, and anything that has ngrok's
 * form of one, since a text may quote a token that is not ours.
 */
export const scrub = (text: string, secrets: readonly string[]): string => {
  let clean = text;
  for (const secret of secrets) {
    if (secret.length >= MIN_SECRET_CHARS) clean = clean.replaceAll(secret, MASK);
  }
  return clean.replace(TOKEN_FORM, MASK);
};
