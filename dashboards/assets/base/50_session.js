/*
 * The session with one run: which page about it is shown, the selection, and the record that the selection means.
 * A page registers itself with `S.session.page(name, {...})`; pages share selection, feed and caches, so that going
 * from one to another keeps the place.
 */
(function () {
  'use strict';
  const S = window.memviz.base;
  const state = S.store.state;
  const pages = new Map();
  let current = null; // the page that is shown
  let crumbKey = '';
  let crumbTimer = 0;
  let crumbList = [];

  /**
   * Register a page. hooks: root (id of its element), build(node), enter({newRun, newPlace}), leave(), changed(set of
   * keys), fed(what), found() (findings), recolour(), forget() (another run).
   */
  function page(name, hooks) {
    pages.set(name, { name, ...hooks });
    const route = window.memviz.route && window.memviz.route();
    if (route && route.page === name && document.getElementById(hooks.root)) onRoute(route);
  }

  const active = (name) => current !== null && current.name === name && state.run !== null;

  /** The record that the selection means, once the steps are known; null without one. `newest` may delay following. */
  function resolve(newest) {
    const n = S.feed.steps.length;
    if (!n) return (state.rec = null);
    if (state.follow) {
      if (newest) newest(n - 1);
      else state.rec = n - 1;
    } else if (state.rec === null || state.rec >= n) {
      state.rec = state.record !== null && state.record < n ? state.record : state.step === null ? n - 1 : S.feed.indexAt(state.step);
    }
    const step = S.feed.steps[state.rec];
    const twin = S.feed.steps[state.rec - 1] === step || S.feed.steps[state.rec + 1] === step;
    const record = twin ? state.rec : null;
    if (state.step !== step || state.record !== record) {
      // A link may ask for a step that has no record; the one before it is shown and named.
      Object.assign(state, { step, record });
      S.store.write(false);
    }
    return state.rec;
  }

  /** The JSON of the chosen record if it is here. */
  const about = () => (state.run === null || state.rec === null ? null : S.api.recordNow({ run: state.run, rec: state.rec }));

  /** What the chosen record says of the chosen memory; null while it is not known. */
  function memory() {
    const known = about();
    return known ? known.memories.find((m) => m.name === state.memory) || null : null;
  }

  const times = () => Math.max(1, (memory() || {}).times || 1);

  /** Choose a memory and an item that the record has. */
  function settle(known) {
    const names = known.memories.map((m) => m.name);
    if (!state.memory || !names.includes(state.memory)) {
      const first = known.memories.find((m) => m.name !== 'model') || known.memories[0];
      state.memory = first ? first.name : null;
      S.store.write(false);
    }
    const items = (known.batch || [0]).length;
    if (state.item >= items) {
      state.item = Math.max(0, items - 1);
      S.store.write(false);
    }
  }

  /** A fresh hash for the same place on another page about the run. */
  const hashOf = (view) => S.store.format({ ...state, view });

  function go(view) {
    if (state.run !== null && state.view !== view) S.store.set({ view, playing: false }, true);
  }

  function crumbs(extra) {
    const known = about();
    const list = [{ label: 'run', value: state.run }];
    if (state.rec !== null && state.step !== null) list.push({ label: 'step', value: String(state.step) });
    if (known) {
      list.push({ label: 'item', value: String(state.item) }, { label: 'memory', value: state.memory || '–' });
      list.push({ label: 'time', value: String(state.t) }, ...extra);
    }
    const key = JSON.stringify(list);
    if (key === crumbKey) return;
    crumbKey = key;
    // The header lies outside the canvases: laying it out at every frame of a scrub would be felt.
    crumbList = list;
    if (crumbTimer) return;
    crumbTimer = setTimeout(() => {
      crumbTimer = 0;
      if (current && state.run !== null) window.memviz.setCrumbs(crumbList);
    }, 60);
  }

  function onRoute(detail) {
    const wanted = detail.run !== null && detail.run !== undefined ? pages.get(detail.page) : null;
    if (!wanted) return leave();
    const node = document.getElementById(wanted.root);
    if (!node) return; // the page containers are announced by another event
    if (current && current !== wanted) {
      current.leave();
      S.tip.hide();
    }
    const entered = current !== wanted;
    current = wanted;
    if (!node.firstChild) wanted.build(node);
    if (entered) crumbKey = '';
    const newRun = state.run !== detail.run;
    const newPlace = S.store.adopt(detail.run, detail.params);
    if (newRun) {
      S.api.forget();
      for (const one of pages.values()) if (one.forget) one.forget();
      crumbKey = '';
      S.feed.open(detail.run, (what) => {
        if (S.feed.state === 'deleted') S.api.forget();
        if (current && current.fed) current.fed(what);
        S.findings.fed();
      });
      S.findings.open(detail.run, () => current && current.found && current.found());
    }
    // The index of the record follows from the step of the route.
    if (newPlace) state.rec = null;
    wanted.enter({ newRun, newPlace, entered });
  }

  function leave() {
    if (!current) return;
    current.leave();
    current = null;
    S.feed.stop();
    S.findings.stop();
    S.tip.hide();
    S.store.release();
    crumbKey = '';
  }

  S.store.listen((_, changed) => {
    if (current && !changed.has('run') && current.changed) current.changed(changed);
  });
  window.addEventListener('memviz:route', (event) => onRoute(event.detail));
  window.addEventListener('memviz:theme', () => {
    S.colour.reset();
    if (current && state.run !== null && current.recolour) current.recolour();
  });

  S.session = { page, active, resolve, about, memory, times, settle, hashOf, go, crumbs };
  Object.defineProperty(S.session, 'name', { get: () => (current ? current.name : null) });
})();
