/* The Scope page: takes a route, follows the run, and has every part drawn when the selection or the data changes. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, put } = S.draw;
  const state = S.store.state;
  const CELL_MS = 80;

  let root = null;
  let scheduled = 0;
  const asked = new Set(); // keys of what is on its way, or failed a moment ago
  let problem = ''; // why the chosen record cannot be shown
  let cellTimer = 0;
  let ageTimer = 0;
  let coming = null; // the newest record while it is being fetched
  let settled = 0;

  const active = () => S.session.active('scope');
  const times = () => (S.panels.frame ? S.panels.frame.times : 1);

  function build(node) {
    root = node;
    const right = el('div.sc-right', {}, S.memory.mount(), S.links.mount(), S.slotCard.mount(), S.extra.mount());
    const main = el('div.sc-main', {}, S.panels.mount(), right);
    root.replaceChildren(el('div.sc-wrap', {}, S.toolbar.mount(), S.queryBox.mount(), S.strip.mount(), S.evidence.mount(), S.timeline.mount(), main), S.footer.mount());
    root.classList.add('sc-root');
    new ResizeObserver(resized).observe(main);
  }

  let lastWidth = 0;
  function resized() {
    if (!root || !active()) return;
    const width = root.clientWidth;
    invalidate();
    if (width === lastWidth) return;
    lastWidth = width;
    S.timeline.want();
  }

  /** Draw everything at the next frame of the display. */
  function invalidate() {
    if (!scheduled) scheduled = requestAnimationFrame(render);
  }

  function frameQuery(rec) {
    const { run, item, memory, scale } = state;
    return { run, rec, item, memory, scale, ...S.panels.room() };
  }

  /**
   * Follow the newest record. What is on the screen stays until the next one is here, so that a run which records
   * faster than its records can be drawn is seen to move, skipping some, instead of loading for ever.
   */
  function catchUp(newest) {
    if (state.rec === null || state.rec > newest || !S.panels.frame) {
      state.rec = newest;
    } else if (state.rec < newest && coming === null) {
      const run = state.run;
      const mine = (coming = newest);
      const arrived = () => {
        if (coming !== mine) return;
        coming = null;
        // A failure is shown as that of the chosen record.
        if (state.follow && state.run === run) state.rec = mine;
        invalidate();
      };
      Promise.all([S.api.record({ run, rec: mine }), S.api.frame(frameQuery(mine))]).then(arrived, arrived);
    }
  }

  function render() {
    scheduled = 0;
    if (!root || !active()) return;
    const rec = S.session.resolve(catchUp);
    S.timeline.draw();
    S.strip.draw();
    S.queryBox.draw();
    const about = rec === null ? null : S.api.recordNow({ run: state.run, rec });
    if (rec !== null && !about) load('record', { run: state.run, rec }, S.api.record);
    if (about) {
      lastAbout = about;
      S.session.settle(about);
    }
    // A record usually has the memories of the one before it: its tiles need not wait for its description.
    const known = about || lastAbout;
    const query = rec === null || !known || !state.memory ? null : frameQuery(rec);
    const found = query && S.api.frameNow(query);
    if (query && !found) load('frame', query, S.api.frame);
    const frame = about && found;
    if (frame) show(frame, about);
    else wait(rec);
    const now = frame || null;
    S.toolbar.draw(about || lastAbout, S.panels.frame);
    S.memory.draw(about, now);
    S.panels.explain();
    S.links.draw(about, now);
    S.slotCard.draw(about, now);
    S.extra.draw(about, now);
    S.footer.draw(S.panels.frame);
    S.footer.words(now, about);
    S.session.crumbs([{ label: 'slot', value: String(state.slot) }]);
    S.evidence.draw(now);
    mark(now);
  }

  let lastAbout = null;

  function show(frame, about) {
    problem = '';
    const fresh = S.panels.frame !== frame;
    if (state.open) openAt(frame);
    if (state.t > frame.times - 1) {
      state.t = Math.max(0, frame.times - 1);
      S.store.write(false);
    }
    S.panels.show(frame, about);
    const cover = S.status.cover('');
    S.panels.setState(S.status.isStale() ? 'stale' : 'ready', cover);
    S.panels.cursor(fresh);
    cells();
    if (fresh) neighbours(frame.index);
  }

  /** A first look: late in the sequence, where memories are read, at the slot that is read most. */
  function openAt(frame) {
    state.open = false;
    state.t = Math.round(0.75 * (frame.times - 1));
    const read = ['read_weights', 'write_weights'].map((name) => frame.tiles.find((x) => x.field === `${frame.memory}/${name}`)).find(Boolean);
    const peak = read && read.row_axis === 'slot' ? S.kinds.statsAt(read, state.t).peakSlot : null;
    state.slot = peak ?? 0;
    S.store.write(false);
  }

  function wait(rec) {
    const cover = S.status.cover(problem);
    if (!S.feed.steps.length || S.feed.state === 'deleted') {
      if (S.panels.frame) S.panels.clear();
      lastAbout = null;
    }
    const failed = problem || S.feed.state === 'error' || S.feed.state === 'deleted';
    S.panels.setState(failed ? 'error' : rec === null && S.feed.state !== 'loading' ? 'empty' : 'loading', cover);
  }

  function load(what, query, ask) {
    const key = what + JSON.stringify(query);
    if (asked.has(key)) return;
    asked.add(key);
    ask(query).then(
      () => {
        asked.delete(key);
        invalidate();
      },
      (error) => {
        const retry = error.status === 0 || error.status === 404 ? 1000 : 5000;
        setTimeout(() => {
          asked.delete(key);
          invalidate();
        }, retry);
        // Only what is still wanted may complain.
        if (state.rec !== query.rec || state.run !== query.run || (query.memory || state.memory) !== state.memory) return;
        problem = error.status === 0 ? '' : `Record ${query.rec + 1} cannot be shown: ${error.message}`;
        invalidate();
      }
    );
  }

  /** Fetch the records next to this one, so that stepping through training finds them there. */
  function neighbours(rec) {
    clearTimeout(settled);
    settled = setTimeout(() => {
      if (!active() || state.rec !== rec || (state.follow && S.feed.state === 'live')) return;
      for (const next of [rec + 1, rec - 1]) {
        if (next < 0 || next >= S.feed.steps.length) continue;
        const query = frameQuery(next);
        S.api.record({ run: state.run, rec: next }).catch(() => {});
        if (!S.api.frameNow(query)) S.api.frame(query).catch(() => {});
      }
    }, 150);
  }

  /** Ask for the exact values at the crosshair once it rests. */
  function cells() {
    clearTimeout(cellTimer);
    const query = S.panels.cellQuery();
    if (S.api.cellNow(query)) return;
    cellTimer = setTimeout(() => {
      if (!active() || !S.panels.frame) return;
      S.api.cell(query).then(() => active() && S.panels.frame && S.panels.cursor(true), () => {});
    }, CELL_MS);
  }

  /** What tests and scripts can read off the page: which record, time and slot are really on the screen. */
  function mark(frame) {
    const drawn = frame || null;
    put(root, 'data-state', drawn ? (S.status.isStale() ? 'stale' : 'ready') : root.querySelector('.sc-panels').dataset.state);
    put(root, 'data-run', state.run);
    put(root, 'data-record', drawn ? drawn.index : '');
    put(root, 'data-step', drawn ? drawn.step : '');
    put(root, 'data-time', drawn ? Math.min(state.t, drawn.times - 1) : '');
    put(root, 'data-slot', state.slot);
    put(root, 'data-head', state.head);
    put(root, 'data-memory', state.memory || '');
  }

  function onStore(changed) {
    if (changed.has('playing') || changed.has('speed')) S.footer.clock(state.playing, state.speed, S.playing.advance);
    if (changed.has('scalar')) S.timeline.want();
    if (changed.has('q')) S.query.sync();
    if (['hide', 'more', 'memory'].some((key) => changed.has(key)) && S.panels.frame) S.panels.layout();
    if (changed.has('rec') || changed.has('item') || changed.has('memory')) problem = '';
    if (!changed.has('t') && !changed.has('rec')) window.memviz.announce && announce(changed);
    invalidate();
  }

  function announce(changed) {
    if (changed.has('follow')) window.memviz.announce(state.follow ? 'Following the newest record' : 'Paused at this record');
    if (changed.has('scale')) window.memviz.announce(state.scale === 'log' ? 'Weights on a log scale, floor 1e-6' : 'Weights on a linear scale');
  }

  function onFeed(what) {
    S.query.fed();
    if (what === 'state' || what === 'records') {
      if (S.feed.info && !S.feed.scalars) S.timeline.want();
    }
    invalidate();
  }

  function enter({ newRun, newPlace, entered }) {
    if (entered && !newRun) S.panels.clear();
    if (newPlace || entered) {
      S.footer.clock(state.playing, state.speed, S.playing.advance);
      if (new URLSearchParams(location.hash.split('?')[1] || '').has('play')) S.store.write(false);
      if (S.panels.frame) S.panels.layout();
    }
    clearInterval(ageTimer);
    ageTimer = setInterval(() => active() && S.feed.state !== 'closed' && invalidate(), 1000);
    if (entered) S.timeline.want();
    S.query.sync();
    invalidate();
  }

  /** Another run: nothing of the last one may stay. */
  function forget() {
    lastAbout = null;
    problem = '';
    asked.clear();
    coming = null;
    S.query.forget();
    if (root) S.panels.clear();
  }

  function leave() {
    S.footer.clock(false);
    clearInterval(ageTimer);
    S.query.cancel();
    S.table.close();
  }

  function recolour() {
    S.panels.repaint();
    invalidate();
  }

  /** Show a field: its panel is brought into view, or its values as a table where it has none. */
  S.session.toField = (field) => {
    const name = field.field;
    const bare = name.split('/').slice(1).join('/');
    const memory = name.startsWith('model/') ? {} : { memory: name.slice(0, -bare.length - 1) };
    S.store.set({ view: 'scope', hide: state.hide.filter((one) => one !== bare), ...memory }, true);
    S.evidence.reveal(name);
  };

  S.session.page('scope', { root: 'scope-root', build, enter, leave, forget, recolour, changed: onStore, fed: onFeed, found: invalidate });
  Object.assign(S.page, S.moves, S.playing, { invalidate, active, times });
})();
