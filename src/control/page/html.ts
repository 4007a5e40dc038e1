/** The page's markup. No backslash and no letter outside ASCII, so that it is the same text in every bundle. */

const HEAD = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Lockkeeper</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='7' fill='%23155e75'/%3E%3Cpath d='M6 9v14M26 9v14M6 13l10 5 10-5' stroke='white' stroke-width='3' fill='none' stroke-linecap='round'/%3E%3C/svg%3E">
`;

const MARK = `<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7"/><path d="M6 9v14M26 9v14M6 13l10 5 10-5"/></svg>`;

export const INDEX_HTML = `${HEAD}<script src="/app.js" defer></script>
</head>
<body>
<header class="top">
  ${MARK}
  <div class="who"><h1 id="device">Lockkeeper</h1><p id="version" class="faint"></p></div>
  <div class="tools">
    <button id="theme" type="button" title="Dark, light or as the system says">Theme</button>
    <form method="post" action="/logout"><button type="submit">Sign out</button></form>
  </div>
</header>
<main>
  <section id="verdict" class="verdict" role="status" aria-live="polite">
    <span class="lamp"></span><div><strong id="verdict-word">Asking the device</strong><p id="verdict-text"></p></div>
    <span id="age" class="faint age"></span>
  </section>
  <section id="parts" class="parts" aria-label="Health"></section>
  <section id="conditions-box" hidden>
    <h2>What is wrong</h2>
    <ul id="conditions" class="conditions"></ul>
  </section>
  <section>
    <h2>Endpoints</h2>
    <div id="endpoints" class="endpoints"></div>
    <p id="no-endpoints" class="faint" hidden>No endpoint is declared on this device.</p>
  </section>
  <section>
    <h2>Recent events</h2>
    <ol id="events" class="events"></ol>
    <p id="no-events" class="faint" hidden>Nothing has happened yet.</p>
  </section>
</main>
<noscript><p class="faint">This page needs JavaScript.</p></noscript>
</body>
</html>
`;

export const LOGIN_HTML = `${HEAD}<script src="/login.js" defer></script>
</head>
<body class="login">
<main>
  <form method="post" action="/login" class="card sign-in">
    ${MARK}
    <h1>Lockkeeper</h1>
    <label for="token">Token of this device's page</label>
    <input id="token" name="token" type="password" autocomplete="current-password" autofocus required>
    <p id="said" class="said" role="alert" hidden></p>
    <button type="submit" class="primary">Sign in</button>
    <p class="faint">It is in the file that <code>http.tokenFile</code> names. You stay signed in for 12 hours.</p>
  </form>
</main>
</body>
</html>
`;
