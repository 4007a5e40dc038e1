/**
 * The console's script. What devices say is only ever set as text. No backslash, no backtick and no dollar brace in it, so
 * that it stands here as it is.
 */
export const APP_JS = `'use strict';
const $ = (id) => document.getElementById(id);
const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined && text !== null) e.textContent = text; return e; };
const STATES = ['online', 'stuck', 'offline', 'unknown'];
const NO_SITE = 'no site';
const PAGE = 60;
const devices = new Map();
const open = new Set();
const leases = new Map();
const busy = new Set();
let head = { hasApi: false, canCommand: false, link: 'connecting', rotation: null, tenant: '' };
let skewMs = 0, stateFilter = null, siteFilter = null, shown = PAGE, due = false;

const now = () => Date.now() + skewMs;
const span = (s) => s < 0 ? '0 s' : s < 120 ? Math.round(s) + ' s' : s < 7200 ? Math.round(s / 60) + ' min' : s < 172800 ? Math.round(s / 3600) + ' h' : Math.round(s / 86400) + ' d';
const siteOf = (d) => d.site || NO_SITE;
const rank = (d) => ({ stuck: 0, offline: 1, unknown: 3 })[d.state] ?? (d.conditions.some((c) => c.severity !== 'info') ? 2 : 4);

const toast = (text, isBad) => { const t = el('div', isBad ? 'toast bad' : 'toast', text); $('toasts').append(t); setTimeout(() => t.remove(), isBad ? 9000 : 4000); };

const command = async (device, endpoint, verb, leaseS) => {
  const key = device + ' ' + endpoint;
  if (busy.has(key)) return;
  busy.add(key); draw();
  try {
    const answer = await fetch('/api/commands', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(leaseS ? { device, endpoint, verb, leaseS } : { device, endpoint, verb }) });
    const body = await answer.json();
    if (answer.status === 401) location.reload();
    const isGood = answer.ok && body.status === 'succeeded';
    const what = verb === 'start' ? 'open' : 'closed';
    toast(isGood ? device + ' ' + endpoint + ' is ' + what : device + ' ' + endpoint + ': ' + (body.message || body.code || body.status || 'no answer'), !isGood);
  } catch { toast('The console does not answer.', true); }
  busy.delete(key); draw();
};

const tiles = () => {
  const counts = { online: 0, stuck: 0, offline: 0, unknown: 0 };
  for (const d of devices.values()) counts[d.state] += 1;
  $('tiles').replaceChildren(...STATES.map((state) => {
    const b = el('button', 'tile s-' + state);
    b.type = 'button'; b.dataset.state = state; b.setAttribute('aria-pressed', String(stateFilter === state));
    b.append(el('b', '', String(counts[state])), el('span', '', state));
    b.onclick = () => { stateFilter = stateFilter === state ? null : state; shown = PAGE; draw(); };
    return b;
  }));
};

const map = () => {
  const sites = new Map();
  for (const d of devices.values()) { const list = sites.get(siteOf(d)) || []; list.push(d); sites.set(siteOf(d), list); }
  const names = [...sites.keys()].sort();
  $('map-box').hidden = names.length < 2;
  if (names.length < 2) return;
  $('map').replaceChildren(...names.map((name) => {
    const list = sites.get(name).sort((a, b) => a.device < b.device ? -1 : 1);
    const b = el('button', 'site');
    b.type = 'button'; b.setAttribute('aria-pressed', String(siteFilter === name));
    const bad = list.filter((d) => d.state === 'offline' || d.state === 'stuck').length;
    const h = el('header'); h.append(el('b', '', name), el('span', '', bad ? bad + ' of ' + list.length + ' in trouble' : String(list.length)));
    b.append(h);
    if (list.length <= 160) { const dots = el('div', 'dots'); for (const d of list) { const i = el('i', 's-' + d.state); i.title = d.device; dots.append(i); } b.append(dots); }
    else { const strip = el('div', 'strip'); for (const s of STATES) { const n = list.filter((d) => d.state === s).length; if (n) { const i = el('i', 's-' + s); i.style.flexGrow = String(n); strip.append(i); } } b.append(strip); }
    b.onclick = () => { siteFilter = siteFilter === name ? null : name; shown = PAGE; draw(); };
    return b;
  }));
};

const endpointBox = (d, e) => {
  const key = d.device + ' ' + e.name;
  const box = el('div', 'endpoint'); box.dataset.endpoint = e.name;
  const what = el('div', 'what');
  const line = el('div'); line.append(el('b', '', e.name + ' '), el('span', 'pill ' + e.state, e.state));
  what.append(line);
  if (e.url) {
    const isLink = e.url.startsWith('https://') || e.url.startsWith('http://');
    const a = el(isLink ? 'a' : 'span', isLink ? '' : 'faint', e.url);
    if (isLink) { a.href = e.url; a.target = '_blank'; a.rel = 'noreferrer noopener'; }
    what.append(a);
  }
  if (e.code) what.append(el('span', 'faint', e.code));
  if (e.leaseEnd) { const l = el('span', 'lease'); l.dataset.end = String(e.leaseEnd); what.append(l); }
  box.append(what);
  if (head.canCommand) {
    const act = el('div', 'do');
    const choice = el('select'); choice.setAttribute('aria-label', 'Lease');
    for (const [s, text] of [[900, '15 min'], [3600, '1 hour'], [14400, '4 hours'], [86400, '1 day']]) { const o = el('option', '', text); o.value = String(s); o.selected = (leases.get(key) || 3600) === s; choice.append(o); }
    choice.onchange = () => leases.set(key, Number(choice.value));
    const isUp = e.state === 'up' || e.state === 'opening';
    const go = el('button', isUp ? '' : 'primary', isUp && e.by === 'lease' ? 'Extend' : 'Open'); go.type = 'button';
    go.onclick = () => command(d.device, e.name, 'start', Number(choice.value));
    const stop = el('button', '', 'Close'); stop.type = 'button';
    stop.onclick = () => command(d.device, e.name, 'stop');
    const isStill = busy.has(key) || d.state === 'offline' || head.link !== 'connected';
    for (const b of [choice, go, stop]) b.disabled = isStill;
    if (isUp && e.by === 'desired') act.append(stop); else if (isUp) act.append(choice, go, stop); else act.append(choice, go);
    box.append(act);
  }
  return box;
};

const inside = (d) => {
  const box = el('div', 'inside');
  if (d.conditions.length) {
    const list = el('ul', 'conditions');
    for (const c of d.conditions) { const li = el('li'); li.append(el('span', 'pill ' + c.severity, c.code), el('span', '', c.message)); list.append(li); }
    box.append(list);
  }
  for (const e of d.endpoints) box.append(endpointBox(d, e));
  if (!d.endpoints.length) box.append(el('p', 'faint', 'It reports no endpoint.'));
  const dl = el('dl');
  const put = (name, value) => { if (value === null || value === undefined || value === '') return; const p = el('div'); p.append(el('dt', '', name), el('dd', '', String(value))); dl.append(p); };
  put('ngrok session', d.session && d.session.state); put('generation', d.generation); put('authtoken', d.token === null ? null : span(d.token) + ' old');
  put('latency', d.latencyMs === null ? null : Math.round(d.latencyMs) + ' ms'); put('agent', d.versions && d.versions.agent); put('ngrok SDK', d.versions && d.versions.ngrok); put('node', d.versions && d.versions.node);
  put('address', d.sessions.map((s) => s.ip).join(', ')); put('last error', d.lastError); put('last word', d.lastSeen === null ? null : span(now() / 1000 - d.lastSeen) + ' ago');
  box.append(dl);
  return box;
};

const deviceBox = (d) => {
  const box = el('details', 'device s-' + d.state); box.dataset.device = d.device; box.open = open.has(d.device);
  const s = el('summary');
  const name = el('div', 'name'); name.append(el('b', '', d.device), el('span', '', [d.site, d.locked ? 'locked' : ''].filter(Boolean).join(', ')));
  const first = d.conditions[0];
  const up = d.endpoints.filter((e) => e.state === 'up').length;
  s.append(name, el('span', 'pill ' + d.state, d.state), el('span', 'why ' + (first ? first.severity : ''), first ? first.message : ''), el('span', 'count', d.endpoints.length && d.state !== 'offline' ? up + ' of ' + d.endpoints.length + ' open' : ''));
  box.append(s);
  if (box.open) box.append(inside(d));
  box.ontoggle = () => {
    if (box.open === open.has(d.device)) return;
    if (box.open) { open.add(d.device); if (box.children.length < 2) box.append(inside(devices.get(d.device) || d)); } else open.delete(d.device);
  };
  return box;
};

const matches = (d, words) => words.every((w) => [d.device, siteOf(d), d.state, d.versions ? d.versions.agent : '', ...d.conditions.map((c) => c.code + ' ' + c.message), ...d.endpoints.map((e) => e.name + ' ' + (e.url || ''))].join(' ').toLowerCase().includes(w));

const list = () => {
  const words = $('search').value.toLowerCase().split(' ').filter(Boolean);
  const fit = [...devices.values()].filter((d) => (stateFilter === null || d.state === stateFilter) && (siteFilter === null || siteOf(d) === siteFilter) && matches(d, words));
  fit.sort((a, b) => rank(a) - rank(b) || (a.device < b.device ? -1 : 1));
  $('list-title').textContent = fit.length === devices.size ? fit.length + ' devices' : fit.length + ' of ' + devices.size + ' devices';
  $('empty').hidden = fit.length > 0;
  $('more').hidden = fit.length <= shown;
  const active = document.activeElement && document.activeElement.closest ? document.activeElement.closest('.device') : null;
  // A choice that is open in somebody's hand is not taken away.
  if (active && document.activeElement.tagName === 'SELECT') return;
  $('list').replaceChildren(...fit.slice(0, shown).map(deviceBox));
};

const rotation = () => {
  const r = head.rotation;
  const isOld = r && r.done === r.total && now() - r.startedAtMs > 86400000;
  $('rotation').hidden = !r || isOld;
  if (!r || isOld) return;
  const h = el('header');
  h.append(el('b', '', 'Rotation of ' + (r.scope === 'fleet' ? 'the fleet' : r.scope)), el('span', 'faint', 'began ' + span((now() - r.startedAtMs) / 1000) + ' ago'), el('span', 'faint', r.done + ' of ' + r.total + ' done' + (r.underWay ? ', ' + r.underWay + ' under way' : '')));
  const bar = el('progress'); bar.max = Math.max(1, r.total); bar.value = r.done;
  $('rotation').replaceChildren(h, bar);
};

const ticks = () => { for (const l of document.querySelectorAll('.lease[data-end]')) { const s = Number(l.dataset.end) - now() / 1000; l.textContent = s > 0 ? 'closes in ' + span(s) : 'closing'; } };

const drawNow = () => {
  due = false;
  $('tenant').textContent = head.tenant;
  $('link').textContent = head.link === 'connected' ? 'live' : 'no broker';
  $('link').className = 'pill ' + (head.link === 'connected' ? 'connected' : 'offline');
  $('mqtt-only').hidden = head.hasApi; $('read-only').hidden = head.canCommand;
  document.body.dataset.ready = 'yes';
  tiles(); map(); rotation(); list(); ticks();
};
const draw = () => { if (!due) { due = true; requestAnimationFrame(drawNow); } };

const load = async () => {
  const answer = await fetch('/api/fleet');
  if (answer.status === 401) return location.reload();
  const body = await answer.json();
  skewMs = body.nowMs - Date.now();
  head = body; devices.clear();
  for (const d of body.devices) devices.set(d.device, d);
  draw();
};

const listen = () => {
  const stream = new EventSource('/api/stream');
  stream.onopen = () => { load().catch(() => undefined); };
  stream.addEventListener('rows', (m) => { for (const d of JSON.parse(m.data)) devices.set(d.device, d); draw(); });
  stream.addEventListener('head', (m) => { head = Object.assign({}, head, JSON.parse(m.data)); draw(); });
  stream.onerror = () => { head = Object.assign({}, head, { link: 'offline' }); draw(); };
};

const THEMES = ['', 'dark', 'light'];
const theme = (t) => { if (t) document.documentElement.dataset.theme = t; else delete document.documentElement.dataset.theme; };
theme(localStorage.getItem('theme') || '');
$('theme').onclick = () => { const next = THEMES[(THEMES.indexOf(localStorage.getItem('theme') || '') + 1) % 3]; localStorage.setItem('theme', next); theme(next); };
$('search').oninput = () => { shown = PAGE; draw(); };
$('more').onclick = () => { shown += PAGE; draw(); };
setInterval(ticks, 1000);
listen();
`;
