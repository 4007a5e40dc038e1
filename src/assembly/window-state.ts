/** The weekly windows of an endpoint as they stand at a moment of the device's own clock and zone. */
import type { EndpointSpec } from '../core/endpoint.ts';
import { parseWindow, type WindowState, windowsAt } from '../core/window.ts';

/** Undefined for an endpoint without windows. Ones that cannot be read were refused with their declaration. */
export const windowState = ({ windows }: EndpointSpec, wallMs: number): WindowState | undefined => {
  if (windows.length === 0) return undefined;
  const parsed = windows.flatMap((text) => {
    const window = parseWindow(text);
    return window.ok ? [window.value] : [];
  });
  return windowsAt(parsed, wallMs, Intl.DateTimeFormat().resolvedOptions().timeZone);
};
