// The shell: which page shows, breadcrumbs, theme, help. What it offers to pages is in docs/architecture.md.
(function () {
  'use strict';

  const memviz = (window.memviz = window.memviz || {});
  const THEME_KEY = 'memviz-theme';
  const LAST_RUN_KEY = 'memviz-last-run';
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // Storage may be forbidden; the pages work without it.
  function stored(kind, key, value) {
    try {
      if (value === undefined) return window[kind].getItem(key);
      window[kind].setItem(key, value);
    } catch (error) {
      /* nothing to remember then */
    }
    return null;
  }

  // Routing

  memviz.route = function () {
    const [path, query] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
    const parts = path.split('/').filter(Boolean);
    const params = new URLSearchParams(query || '');
    if (parts[0] === 'run' && parts[1] !== undefined) {
      const view = params.get('view') || 'scope';
      return { page: byId(view + '-page') ? view : 'scope', run: decode(parts.slice(1).join('/')), params };
    }
    return { page: parts[0] || 'runs', run: null, params };
  };

  function decode(text) {
    try {
      return decodeURIComponent(text);
    } catch (error) {
      return text;
    }
  }

  memviz.navigate = function (hash, options) {
    const target = hash.startsWith('#') ? hash : '#' + hash;
    if (target === location.hash) return;
    if (options && options.replace) {
      if (memviz.arriving()) return; // somebody has gone elsewhere since, and that counts
      // replaceState fires no hashchange, and pages hear of every change.
      history.replaceState(history.state, '', location.pathname + location.search + target);
      follow();
    } else {
      location.hash = target;
    }
  };

  let shown = null;
  let followed = null;

  /** Whether the address has just changed, by hand or by a link, and the page has not heard of it yet. */
  memviz.arriving = () => followed !== null && location.hash !== followed;

  function follow() {
    followed = location.hash;
    const pages = [...document.querySelectorAll('main.page')];
    if (!pages.length) return;
    const route = memviz.route();
    const target = byId(route.page + '-page') || byId('runs-page');
    if (target.id !== route.page + '-page') route.page = 'runs';
    if (route.run !== null) stored('sessionStorage', LAST_RUN_KEY, route.run);
    for (const page of pages) page.hidden = page !== target;
    for (const link of document.querySelectorAll('.nav-link')) {
      if (link.dataset.page === route.page) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    if (shown !== target.id) {
      memviz.setCrumbs(route.page === 'runs' ? [{ label: 'source', value: byId('memviz-shell').dataset.root }] : []);
      memviz.setHelp([]);
      shown = target.id;
    }
    const title = target.dataset.title || route.page;
    document.title = route.run !== null ? `${route.run}${title === 'Scope' ? '' : `, ${title}`} · memviz` : `${title} · memviz`;
    window.dispatchEvent(new CustomEvent('memviz:route', { detail: route }));
  }

  // Some pages are about a run: the one looked at last, otherwise the newest. Within a run the place is kept.
  async function openRunPage(view) {
    const route = memviz.route();
    if (route.run !== null) {
      if (view === 'scope') route.params.delete('view');
      else route.params.set('view', view);
      route.params.delete('play');
      const rest = route.params.toString();
      memviz.navigate('#/run/' + encodeURIComponent(route.run) + (rest ? '?' + rest : ''));
      return;
    }
    let run = stored('sessionStorage', LAST_RUN_KEY);
    try {
      const answer = await fetch('/api/v1/runs');
      const runs = (await answer.json()).runs;
      if (!runs.some((one) => one.id === run)) {
        const whole = runs.find((one) => one.state !== 'error');
        run = whole ? whole.id : null;
      }
    } catch (error) {
      /* the page itself says that the server does not answer */
    }
    memviz.navigate(run === null ? '#/runs' : '#/run/' + encodeURIComponent(run) + (view === 'scope' ? '' : `?view=${view}`));
  }

  /** The page about a run that a hash without a run names, such as #/lineage. */
  function runPageOf(hash) {
    const name = /^#\/(\w+)/.exec(hash);
    const link = name && document.querySelector(`.nav-link[data-run][data-page="${name[1]}"]`);
    return link ? name[1] : null;
  }

  // Header

  memviz.setCrumbs = function (crumbs) {
    const nav = byId('crumbs');
    if (!nav) return;
    nav.replaceChildren();
    crumbs.forEach((crumb, index) => {
      if (index) nav.append(element('span', 'sep', '/'));
      const item = element(crumb.onclick ? 'button' : 'span', 'crumb');
      item.append(element('span', 'k', crumb.label), element('b', '', String(crumb.value)));
      item.dataset.crumb = crumb.label;
      if (crumb.onclick) item.addEventListener('click', crumb.onclick);
      nav.append(item);
    });
  };

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  memviz.announce = function (text) {
    const region = byId('announcer');
    if (region) region.textContent = text;
  };

  // Theme

  memviz.theme = () => root.dataset.theme || 'light';

  let tokens = {};
  memviz.token = function (name) {
    if (!(name in tokens)) tokens[name] = getComputedStyle(root).getPropertyValue('--' + name).trim();
    return tokens[name];
  };

  function setTheme(theme, remember) {
    root.dataset.theme = theme;
    root.dataset.mantineColorScheme = theme;
    root.dataset.agThemeMode = theme;
    tokens = {};
    if (remember) stored('localStorage', THEME_KEY, theme);
    if (byId('mantine-ready') || window.dash_clientside) mantine(theme);
    window.dispatchEvent(new CustomEvent('memviz:theme', { detail: { theme } }));
  }

  function mantine(theme) {
    if (window.dash_clientside && window.dash_clientside.set_props && byId('memviz-shell')) {
      window.dash_clientside.set_props('mantine', { forceColorScheme: theme });
    }
  }

  // Help

  let help = [];
  const SHARED_HELP = [
    { keys: ['Ctrl', 'K'], text: 'command palette: every action, run, finding and field' },
    { keys: ['?'], text: 'this list' },
  ];

  memviz.setHelp = function (entries) {
    help = entries;
  };

  function showHelp() {
    let dialog = document.querySelector('dialog.help');
    if (dialog && dialog.open) return;
    if (dialog) dialog.remove();
    dialog = element('dialog', 'help');
    dialog.setAttribute('aria-label', 'Keys');
    const head = element('div', 'help-head');
    const close = element('button', 'btn', 'Close');
    close.addEventListener('click', () => dialog.close());
    head.append(element('h2', '', 'Keys'), close);
    const list = element('dl');
    const known = memviz.actions ? memviz.actions.help() : [];
    for (const entry of [...known, ...help, ...SHARED_HELP]) {
      const keys = element('dt');
      for (const key of entry.keys) keys.append(element('kbd', '', key));
      list.append(keys, element('dd', '', entry.text));
    }
    dialog.append(head, list);
    dialog.addEventListener('click', (event) => {
      if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
  }

  // Keys are never taken from somebody who is typing.
  memviz.typing = function (event) {
    const target = event.target;
    return (
      target instanceof HTMLElement &&
      (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
      target.type !== 'range' &&
      target.type !== 'checkbox'
    );
  };

  document.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    if (target.closest('#theme-toggle')) setTheme(memviz.theme() === 'dark' ? 'light' : 'dark', true);
    if (target.closest('#help-button')) showHelp();
    const link = target.closest('.nav-link[data-run]');
    if (link && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      if (memviz.route().page !== link.dataset.page) openRunPage(link.dataset.page);
    }
  });

  document.addEventListener('keydown', (event) => {
    if (event.key !== '?' || event.ctrlKey || event.metaKey || event.altKey || memviz.typing(event)) return;
    event.preventDefault();
    showHelp();
  });

  window.addEventListener('hashchange', follow);

  // What the palette can do everywhere. This file runs before those that make the palette.
  window.addEventListener('DOMContentLoaded', offerEverywhere);
  if (document.readyState !== 'loading') setTimeout(offerEverywhere);
  let offered = false;
  function offerEverywhere() {
    if (offered || !memviz.palette) return;
    offered = true;
    memviz.actions.offer('', [
      { text: 'switch between light and dark', run: () => setTheme(memviz.theme() === 'dark' ? 'light' : 'dark', true) },
      { text: 'keys of this page', run: showHelp },
      { text: 'back: undo the last choice', run: () => history.back() },
      { text: 'forward: redo it', run: () => history.forward() },
    ]);
    memviz.palette.source(() => [...document.querySelectorAll('.nav-link')].map((link) => ({ group: 'page', text: link.textContent, run: () => link.click() })));
    memviz.palette.source(async () => {
      try {
        const { runs } = await (await fetch('/api/v1/runs')).json();
        return runs.map((run) => ({ group: 'run', text: run.name, run: () => memviz.navigate('#/run/' + encodeURIComponent(run.id)) }));
      } catch (error) {
        return [];
      }
    });
  }
  // A link to #/scope, without a run, is the navigation's own; it means the run looked at last.
  window.addEventListener('hashchange', () => {
    const view = runPageOf(location.hash);
    if (view) openRunPage(view);
  });

  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (event) => {
    if (stored('localStorage', THEME_KEY) === null) setTheme(event.matches ? 'dark' : 'light', false);
  });
  window.addEventListener('storage', (event) => {
    if (event.key === THEME_KEY && event.newValue) setTheme(event.newValue, false);
  });

  setTheme(memviz.theme(), false);

  // Dash renders the containers some time after the scripts have run.
  function whenRendered() {
    if (!byId('runs-page')) return false;
    mantine(memviz.theme());
    if (!location.hash) history.replaceState(null, '', location.pathname + location.search + '#/runs');
    const view = runPageOf(location.hash);
    if (view) openRunPage(view);
    follow();
    return true;
  }

  if (!whenRendered()) {
    const observer = new MutationObserver(() => {
      if (whenRendered()) observer.disconnect();
    });
    observer.observe(document.body || root, { childList: true, subtree: true });
  }
})();
