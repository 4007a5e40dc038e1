/** The page's three files, from memory. They are plain texts so that a bundle of one file holds them. */
import type { Answer } from '../routes.ts';
import { INDEX_HTML, LOGIN_HTML } from './html.ts';
import { APP_JS, LOGIN_JS } from './script.ts';
import { STYLE_CSS } from './style.ts';

const file = (type: string, body: string): Answer => ({ code: 200, type: `${type}; charset=utf-8`, body });

const OPEN: Readonly<Record<string, Answer>> = {
  '/login': file('text/html', LOGIN_HTML),
  '/login.js': file('text/javascript', LOGIN_JS),
  '/style.css': file('text/css', STYLE_CSS),
  '/app.js': file('text/javascript', APP_JS),
};

export const pageFiles = {
  /** What needs no token: it tells nothing of the device. */
  open: (path: string): Answer | null => (Object.hasOwn(OPEN, path) ? (OPEN[path] ?? null) : null),
  index: file('text/html', INDEX_HTML),
};
