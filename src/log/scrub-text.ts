/** Takes secrets out of a finished text: the live ones wherever they stand, and whatever has the form of one. */

const MASK = '[secret]';
/** Shorter secrets would blank out ordinary words. */
const MIN_CHARS = 4;
/** ngrok's authtokens; compact JWS and JWE. */
const FORMS = [/\b[0-9A-Za-z]{15,}_[0-9A-Za-z]{15,}\b/g, /\bey[0-9A-Za-z_-]{8,}(\.[0-9A-Za-z_-]*){2,4}/g];

export const scrubText = (text: string, secrets: readonly string[]): string => {
  let clean = text;
  for (const secret of secrets) {
    if (secret.length < MIN_CHARS) continue;
    clean = clean.replaceAll(secret, MASK);
    // Inside a JSON line the secret may be escaped.
    const escaped = JSON.stringify(secret).slice(1, -1);
    if (escaped !== secret) clean = clean.replaceAll(escaped, MASK);
  }
  return FORMS.reduce((all, form) => all.replace(form, MASK), clean);
};
