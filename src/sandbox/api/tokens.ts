/** Secrets of the stand-in: authtokens and API keys. Kept as hashes only. */
import { createHash } from 'node:crypto';
import { randomBase62 } from './ids.ts';

const ID_LENGTH = 27;
const SECRET_LENGTH = 21;

/**
 * ngrok's form, as far as the sandbox judges it: at least 27 base62 characters, an underscore, at least 21 base62
 * characters. An unknown token of this form is refused with 107, one of another form with 105. A token that was
 * registered is valid whatever it looks like.
 */
const TOKEN_FORM = /^[0-9A-Za-z]{27,}_[0-9A-Za-z]{21,}$/;

export const hasTokenForm = (secret: string): boolean => TOKEN_FORM.test(secret);

/** A fresh secret whose first part is the 27 characters of its record's id, as ngrok's own examples show it. */
export const newSecret = (idPart: string): string => `${idPart}_${randomBase62(SECRET_LENGTH)}`;

/** A token of ngrok's form that belongs to no record yet. */
export const randomAuthtoken = (): string => newSecret(randomBase62(ID_LENGTH));

export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

/** Any text of visible characters and blanks may be registered as a token. */
export const isPrintable = (text: string): boolean => /^\P{C}+$/u.test(text);
