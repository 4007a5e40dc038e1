/** The console's markup. */

const MARK =
  '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7"/><path d="M6 9v14M26 9v14M6 13l10 5 10-5"/></svg>';

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='7' fill='%23155e75'/%3E%3Cpath d='M6 9v14M26 9v14M6 13l10 5 10-5' stroke='white' stroke-width='3' fill='none' stroke-linecap='round'/%3E%3C/svg%3E";

const head = (script: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Lockkeeper fleet</title>
<link rel="icon" href="${ICON}">
<link rel="stylesheet" href="/style.css">
${script}</head>
`;

export const INDEX_HTML = `${head('<script src="/app.js" defer></script>\n')}<body>
<header class="top">
  ${MARK}
  <div class="who"><h1>Lockkeeper</h1><p class="faint"><span id="tenant"></span> <span id="link" class="pill"></span></p></div>
  <button id="theme" type="button" title="Dark, light, or as the system says">Theme</button>
  <form method="post" action="/logout"><button type="submit">Sign out</button></form>
</header>
<main>
  <section class="tiles" id="tiles" aria-label="Devices by state"></section>
  <section id="rotation" class="card rotation" hidden aria-label="Rotation"></section>
  <section id="map-box" aria-label="Sites" hidden><h2>Sites</h2><div id="map" class="map"></div></section>
  <section aria-label="Devices">
    <div class="bar">
      <h2 id="list-title">Devices</h2>
      <input id="search" type="search" placeholder="Search device, site, version, problem" aria-label="Search" autocomplete="off" spellcheck="false">
    </div>
    <div id="list" class="list"></div>
    <button id="more" type="button" hidden>Show more</button>
    <p id="empty" class="faint" hidden>No device fits.</p>
  </section>
  <p id="mqtt-only" class="faint note" hidden>Without an API key: sessions and credentials at ngrok are not looked at.</p>
  <p id="read-only" class="faint note" hidden>There is no key to sign with: endpoints can be looked at only.</p>
</main>
<div id="toasts" role="status" aria-live="polite"></div>
<noscript><p class="note">The console needs JavaScript.</p></noscript>
</body>
</html>
`;

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** The form that asks for the token; `said` is why it is shown again. */
export const loginHtml = (said: string): string => `${head('')}<body class="login">
<main>
  <form method="post" action="/login" class="card sign-in">
    ${MARK}
    <h1>Lockkeeper fleet</h1>
    <label for="token">Token that <code>lockkeeper console</code> printed</label>
    <input id="token" name="token" type="password" autocomplete="off" autofocus required spellcheck="false">
    <button class="primary" type="submit">Sign in</button>
    ${said === '' ? '' : `<p class="said" role="alert">${escaped(said)}</p>`}
  </form>
</main>
</body>
</html>
`;
