/**
 * The page's program: asks the device every two seconds while somebody looks, and draws. Texts only ever become text
 * nodes. No backslash, no back-tick and no letter outside ASCII, so that it is the same text in every bundle.
 */

export const LOGIN_JS = `'use strict';
const said = { '?wrong': 'That is not the token.', '?wait': 'Too many wrong tries. Wait a minute.' }[location.search];
if (said) { const p = document.getElementById('said'); p.textContent = said; p.hidden = false; }
`;

export const APP_JS = `'use strict';
(() => {
  const POLL_MS = 2000, WINDOW_MS = 300000, W = 600, H = 76;
  const $ = (id) => document.getElementById(id);
  const SVG = 'http://www.w3.org/2000/svg';
  let samples = [], after = 0, last = null, skew = 0, failing = 0, isLeaving = false;

  const el = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const put = (parent, ...children) => { parent.append(...children); return parent; };
  const svg = (tag, cls) => {
    const e = document.createElementNS(SVG, tag);
    if (cls) e.setAttribute('class', cls);
    return e;
  };
  const setText = (e, text) => { if (e.textContent !== text) e.textContent = text; };

  const count = (n) => n < 10000 ? String(Math.round(n)) : n < 1e6 ? (n / 1e3).toFixed(1) + ' k' : (n / 1e6).toFixed(1) + ' M';
  const rate = (n) => n === 0 ? '0' : n < 10 ? n.toFixed(1) : count(n);
  const bytes = (n) => {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let at = 0;
    while (n >= 1000 && at < 4) { n /= 1000; at++; }
    return (at === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + ' ' + units[at];
  };
  const span = (s) => {
    s = Math.max(0, Math.round(s));
    const d = Math.floor(s / 86400), h = Math.floor(s % 86400 / 3600), m = Math.floor(s % 3600 / 60), r = s % 60;
    if (d) return d + ' d ' + h + ' h';
    if (h) return h + ' h ' + m + ' min';
    if (m) return m + ' min ' + (m < 10 ? r + ' s' : '');
    return r + ' s';
  };
  const deviceNow = () => Date.now() + skew;
  const since = (iso) => iso ? span((deviceNow() - Date.parse(iso)) / 1000) : '-';
  const percent = (x) => x === null || x === undefined ? '-' : Math.round(x * 100) + ' %';
  const millis = (ms) => ms === null || ms === undefined ? '-' : Math.round(ms) + ' ms';
  const SESSION = { connected: 'connected', connecting: 'connecting', down: 'edge unreachable', 'auth-failed': 'authtoken refused', stopped: 'not needed now' };
  const STATE_LEVEL = { up: 'ok', opening: 'warning', failed: 'error', denied: 'error', down: 'info' };

  /* ---- top ---- */
  const drawVerdict = (s) => {
    const level = s.health ? s.health.level : 'info';
    const up = s.endpoints.filter((e) => e.state === 'up').length;
    $('verdict').className = 'verdict ' + level;
    setText($('verdict-word'), { ok: 'All is well', warning: 'Needs a look', error: 'In trouble' }[level] || 'Unknown');
    const wrong = s.conditions.length;
    setText($('verdict-text'), (s.locked ? 'Locked on the device. ' : '') + up + ' of ' + s.endpoints.length + ' endpoints up, ' +
      (wrong === 0 ? 'no condition' : wrong === 1 ? '1 condition' : wrong + ' conditions') + '.');
    setText($('device'), s.device);
    setText($('version'), 'Lockkeeper ' + s.version + ', up ' + span(s.uptimeS));
    document.title = s.device + (level === 'ok' ? '' : ' (!)') + ' - Lockkeeper';
  };

  const part = (title, level, text, figures) => {
    const list = el('dl');
    for (const [name, value] of figures) put(list, el('dt', '', name), el('dd', '', value));
    return put(el('article', 'part ' + level), el('h3', '', title), el('p', '', text), list);
  };
  const drawParts = (s) => {
    const h = s.health || {};
    const m = h.machine || {};
    const level = (name) => h[name] ? h[name].level : 'info';
    $('parts').replaceChildren(
      part('Session to ngrok', level('session'), SESSION[s.session.state] || s.session.state, [
        ['For', since(s.session.since)], ['Heartbeat', millis(s.session.latencyMs)],
        ['Reconnects', count(s.session.reconnects)], ['Generation', String(s.session.generation)]]),
      part('Link to the cloud', s.link.state === 'connected' ? 'ok' : 'warning', s.link.state, [
        ['For', since(s.link.since)], ['Protocol', s.link.protocol === 5 ? 'MQTT 5' : s.link.protocol === 4 ? 'MQTT 3.1.1' : '-'],
        ['Waiting', count(s.outbox.waiting) + (s.outbox.dropped ? ', ' + count(s.outbox.dropped) + ' given up' : '')],
        ['Revision', s.desired.applied + ' of ' + s.desired.rev]]),
      part('Upstreams', level('upstream'), h.upstream ? h.upstream.text : '-', [
        ['Active hours, month', count(s.endpoints.reduce((n, e) => n + e.activeHours.month, 0))],
        ['Failed connections', count(s.endpoints.reduce((n, e) => n + e.upstreamFailures, 0))]]),
      part('Machine', level('machine'), m.text || '-', [
        ['Load', m.load === undefined ? '-' : m.load.toFixed(2)], ['Memory', percent(m.memoryUsed)], ['Disk', percent(m.diskUsed)],
        ['Temperature', m.temperatureC === null || m.temperatureC === undefined ? '-' : Math.round(m.temperatureC) + ' C']]));
  };

  const drawConditions = (s) => {
    $('conditions-box').hidden = s.conditions.length === 0;
    const rank = { error: 0, warning: 1, info: 2 };
    $('conditions').replaceChildren(...s.conditions.slice().sort((a, b) => rank[a.severity] - rank[b.severity]).map((c) =>
      put(el('li', c.severity), el('div', '', c.message),
        el('small', '', (c.endpoint ? c.endpoint + ' - ' : '') + c.code + ' - for ' + since(c.since)))));
  };

  const NOTES = {
    'session.up': 'Session up', 'session.lost': 'Session lost', 'endpoint.up': 'Endpoint up', 'endpoint.down': 'Endpoint down',
    'endpoint.denied': 'Endpoint refused', 'cred.swapped': 'Authtoken changed', 'cred.refused': 'Authtoken refused', 'cred.request': 'Authtoken asked for',
    'conn.summary': 'Traffic', 'conn.opened': 'Connection opened', 'conn.closed': 'Connection closed', 'conn.refused': 'Connection refused',
    'security.alert': 'Security alert', 'store.degraded': 'Storage in trouble', 'agent.start': 'Daemon started', 'agent.stop': 'Daemon stopping',
    'condition.set': 'Condition', 'condition.cleared': 'Condition over', 'command.done': 'Command done'
  };
  const drawEvents = (events) => {
    $('no-events').hidden = events.length > 0;
    $('events').hidden = events.length === 0;
    $('events').replaceChildren(...events.slice(0, 40).map((e) => {
      const d = e.data || {};
      const more = [e.ep, e.code, e.cause, d.op, d.status, d.msg, d.url].filter((x) => typeof x === 'string' && x !== '').join(', ');
      const time = el('time', '', new Date(e.at).toLocaleTimeString([], { hour12: false }));
      time.title = new Date(e.at).toLocaleString();
      return put(el('li'), time, el('b', '', NOTES[e.type] || e.type), el('span', '', more));
    }));
  };

  /* ---- endpoints ---- */
  const cards = new Map();
  const makePlot = (series) => {
    const fig = el('figure', 'plot'), cap = el('figcaption'), box = svg('svg', 'curve');
    box.setAttribute('viewBox', '0 0 ' + W + ' ' + H);
    box.setAttribute('preserveAspectRatio', 'none');
    box.setAttribute('role', 'img');
    const mid = svg('line');
    for (const [k, v] of [['x1', 0], ['x2', W], ['y1', H / 2], ['y2', H / 2]]) mid.setAttribute(k, v);
    box.append(mid);
    const lines = series.map(([name, cls]) => {
      cap.append(el('i', cls, name));
      const area = svg('path', 'area ' + cls), line = svg('path', cls);
      box.append(area, line);
      return { area, line };
    });
    const read = el('output');
    cap.append(read);
    const scale = el('div', 'scale');
    scale.append(el('span', '', '5 min ago'), el('span'), el('span', '', 'now'));
    put(fig, cap, box, scale);
    const plot = { fig, box, lines, read, top: scale.children[1], at: null };
    box.addEventListener('pointermove', (e) => { const r = box.getBoundingClientRect(); plot.at = (e.clientX - r.left) / r.width; });
    box.addEventListener('pointerleave', () => { plot.at = null; });
    return plot;
  };
  const makeCard = (name, proto) => {
    const card = el('article', 'endpoint'), head = el('header'), badge = el('span', 'badge'), lease = el('span', 'lease');
    card.dataset.endpoint = name;
    put(head, el('h3', '', name), badge, lease);
    const url = el('div', 'url'), link = el('a'), copy = el('button', '', 'Copy');
    copy.type = 'button';
    link.rel = 'noreferrer noopener';
    link.target = '_blank';
    copy.addEventListener('click', async () => {
      try { await navigator.clipboard.writeText(link.textContent); setText(copy, 'Copied'); } catch { setText(copy, 'No'); }
      setTimeout(() => setText(copy, 'Copy'), 1500);
    });
    put(url, link, copy);
    const upstream = el('p', 'upstream'), error = el('p', 'upstream down'), figures = el('div', 'figures');
    const cells = [proto === 'http' ? 'requests/s' : 'connections', 'data/s', proto === 'http' ? 'p95 latency' : 'refused', 'active hours, month'].map((label) => {
      const b = el('b', '', '-');
      put(figures, put(el('div'), b, el('span', '', label)));
      return b;
    });
    const plots = el('div', 'plots');
    const one = makePlot([[proto === 'http' ? 'requests/s' : 'open connections', 'req']]), two = makePlot([['in', 'in'], ['out', 'out']]);
    put(plots, one.fig, two.fig);
    put(card, head, url, upstream, error, figures, plots);
    return { card, badge, lease, url, link, upstream, error, figures, plots, cells, one, two, proto };
  };
  const drawEndpoints = (s) => {
    $('no-endpoints').hidden = s.endpoints.length > 0;
    const names = new Set(s.endpoints.map((e) => e.name));
    for (const [name, c] of cards) if (!names.has(name)) { c.card.remove(); cards.delete(name); }
    for (const e of s.endpoints) {
      if (!cards.has(e.name)) {
        cards.set(e.name, makeCard(e.name, e.proto));
        $('endpoints').append(cards.get(e.name).card);
      }
      const c = cards.get(e.name);
      setText(c.badge, e.state);
      c.badge.className = 'badge ' + (STATE_LEVEL[e.state] || 'info');
      c.url.hidden = e.url === '';
      setText(c.link, e.url);
      if (e.state === 'up' && /^https?:/.test(e.url)) c.link.href = e.url; else c.link.removeAttribute('href');
      const bad = s.conditions.find((x) => x.endpoint === e.name && x.code.startsWith('UPSTREAM_'));
      c.upstream.className = 'upstream' + (bad ? ' down' : '');
      setText(c.upstream, bad ? bad.message : 'Upstream ' + e.upstream + ', by ' + e.by + (e.lastActiveAt ? ', last byte ' + since(e.lastActiveAt) + ' ago' : ''));
      c.figures.hidden = c.plots.hidden = e.state !== 'up' && !e.lastActiveAt;
      c.error.hidden = !e.lastError || bad !== undefined;
      setText(c.error, e.lastError ? e.lastError.message : '');
    }
    drawLeases();
  };
  const drawLeases = () => {
    if (!last) return;
    for (const e of last.endpoints) {
      const c = cards.get(e.name);
      if (c) setText(c.lease, e.leaseEndsAt && e.state === 'up' ? 'closes in ' + span((Date.parse(e.leaseEndsAt) - deviceNow()) / 1000) : '');
    }
  };

  /* ---- plots ---- */
  const series = (name, index, isGauge) => {
    const points = [];
    for (let i = 1; i < samples.length; i++) {
      const a = samples[i - 1].endpoints[name], b = samples[i].endpoints[name];
      if (!a || !b) continue;
      const s = (samples[i].at - samples[i - 1].at) / 1000;
      if (s <= 0 || s > 30) { points.push(null); continue; }
      points.push([samples[i].at, isGauge ? b[index] : Math.max(0, b[index] - a[index]) / s]);
    }
    return points;
  };
  const nice = (max, least) => {
    let top = least;
    while (top < max) top *= top.toString().startsWith('2') ? 2.5 : 2;
    return top;
  };
  const drawPlot = (plot, all, text, least) => {
    const now = deviceNow() - POLL_MS;
    const top = nice(Math.max(0, ...all.flat().map((p) => p ? p[1] : 0)), least);
    const x = (t) => (1 - (now - t) / WINDOW_MS) * W, y = (v) => H - 2 - v / top * (H - 8);
    all.forEach((points, i) => {
      let line = '', area = '', begun = null, end = null;
      const close = () => { if (begun !== null) area += 'L' + end.toFixed(1) + ' ' + H + 'L' + begun.toFixed(1) + ' ' + H + 'Z'; begun = null; };
      for (const p of points) {
        if (p === null) { close(); continue; }
        const at = x(p[0]);
        const step = (begun === null ? 'M' : 'L') + at.toFixed(1) + ' ' + y(p[1]).toFixed(1);
        if (begun === null) begun = at;
        end = at;
        line += step;
        area += step;
      }
      close();
      plot.lines[i].line.setAttribute('d', line);
      plot.lines[i].area.setAttribute('d', area);
    });
    setText(plot.top, 'top ' + text(top));
    const t = plot.at === null ? null : now - (1 - plot.at) * WINDOW_MS;
    setText(plot.read, t === null ? '' : all.map((points) => {
      const p = points.filter((q) => q !== null).reduce((best, q) => best === null || Math.abs(q[0] - t) < Math.abs(best[0] - t) ? q : best, null);
      return p ? text(p[1]) : '-';
    }).join(' / '));
    plot.box.setAttribute('aria-label', 'Last five minutes, at most ' + text(top));
  };
  const drawPlots = () => {
    if (!last) return;
    for (const e of last.endpoints) {
      const c = cards.get(e.name);
      if (!c) continue;
      const isHttp = e.proto === 'http';
      const first = series(e.name, isHttp ? 0 : 3, !isHttp), inward = series(e.name, 1), outward = series(e.name, 2);
      const newest = (points) => { const p = points[points.length - 1]; return p ? p[1] : 0; };
      drawPlot(c.one, [first], rate, 1);
      drawPlot(c.two, [inward, outward], (n) => bytes(n) + '/s', 1000);
      setText(c.cells[0], isHttp ? rate(newest(first)) : count(e.connections));
      setText(c.cells[1], bytes(newest(inward) + newest(outward)));
      setText(c.cells[2], isHttp ? millis(e.latency ? e.latency.p95Ms : null) : count(e.refused));
      setText(c.cells[3], count(e.activeHours.month));
    }
  };

  /* ---- asking ---- */
  const ask = async () => {
    try {
      const answer = await fetch('/v1/page?after=' + after, { cache: 'no-store' });
      if (answer.status === 401) { isLeaving = true; location.assign('/login'); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = await answer.json();
      failing = 0;
      last = page.status;
      skew = Date.parse(answer.headers.get('date')) - Date.now();
      if (Math.abs(skew) < 1500) skew = 0;
      if (page.samples.length > 0 && samples.length > 0 && page.samples[page.samples.length - 1].at < samples[samples.length - 1].at) samples = [];
      samples = samples.concat(page.samples).filter((s) => s.at > deviceNow() - WINDOW_MS - 10000);
      if (samples.length > 0) after = samples[samples.length - 1].at;
      drawVerdict(last); drawParts(last); drawConditions(last); drawEndpoints(last); drawPlots(); drawEvents(page.events);
      setText($('age'), 'live');
      document.body.dataset.state = 'live';
    } catch {
      failing++;
      document.body.dataset.state = 'lost';
      $('verdict').className = 'verdict error';
      setText($('verdict-word'), 'The device does not answer');
      setText($('verdict-text'), 'What is shown below is old. Trying again.');
      setText($('age'), 'for ' + span(failing * POLL_MS / 1000));
    }
  };
  let isBusy = false;
  const turn = async () => {
    if (isBusy || isLeaving || document.hidden) return;
    isBusy = true;
    await ask();
    isBusy = false;
  };
  setInterval(turn, POLL_MS);
  setInterval(() => { if (!document.hidden) { drawLeases(); drawPlots(); } }, 500);
  document.addEventListener('visibilitychange', turn);

  /* ---- looks ---- */
  const themes = ['auto', 'dark', 'light'];
  const theme = () => { try { return localStorage.getItem('theme') || 'auto'; } catch { return 'auto'; } };
  const wear = (name) => {
    if (name === 'auto') delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = name;
    setText($('theme'), { auto: 'Auto', dark: 'Dark', light: 'Light' }[name]);
  };
  $('theme').addEventListener('click', () => {
    const next = themes[(themes.indexOf(theme()) + 1) % themes.length];
    try { localStorage.setItem('theme', next); } catch { /* private window */ }
    wear(next);
  });
  wear(theme());
  turn();
})();
`;
