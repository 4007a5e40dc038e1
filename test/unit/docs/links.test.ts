import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { REPO_DIR } from '../../support/spawn-node.ts';

const filesUnder = (path: string): readonly string[] =>
  statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => filesUnder(join(path, name))) : [path];

const TEXTS = [
  'README.md',
  'CHANGELOG.md',
  'Dockerfile',
  'config.example.json',
  'docs',
  'src',
  'packaging',
  'systemd',
]
  .flatMap((name) => filesUnder(join(REPO_DIR, name)))
  .filter((path) => /\.(md|ts|json|yml|service|sh|conf)$|Dockerfile$/.test(path));

test('every page of the documentation that anything names is there', () => {
  const named = TEXTS.flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/\bdocs\/[\w./-]+\.(?:md|yml|json|png)\b/g)].map(
      ([page]) => page,
    ),
  );
  expect(named.length).toBeGreaterThan(20);
  expect([...new Set(named)].filter((page) => !existsSync(join(REPO_DIR, page)))).toEqual([]);
});

test('every link between pages leads somewhere', () => {
  const pages = TEXTS.filter((path) => path.endsWith('.md'));
  const broken = pages.flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, link = '']) => link)
      .filter((link) => !link.includes('://') && !existsSync(join(dirname(path), link)))
      .map((link) => `${path.slice(REPO_DIR.length + 1)}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test('every page is on the list in the README', () => {
  const readme = readFileSync(join(REPO_DIR, 'README.md'), 'utf8');
  const pages = readdirSync(join(REPO_DIR, 'docs')).filter((name) => name.endsWith('.md'));
  expect(pages.filter((name) => !readme.includes(`docs/${name}`))).toEqual([]);
});
