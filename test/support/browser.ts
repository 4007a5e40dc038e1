/** Debian's Chromium without a window. */
import { type Browser, chromium } from 'playwright-core';
import { onTestFinished } from 'vitest';

/** A browser that ends with the test. */
export const openBrowser = async (): Promise<Browser> => {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    // Without a user for a sandbox of its own, and without a screen.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  onTestFinished(() => browser.close());
  return browser;
};
