/* The stories of the run: asked for a stretch at a time while this page is shown, and kept until another run is. */
(function () {
  'use strict';
  const Y = window.memviz.story;
  const RETRY_MS = 1500;
  const known = { run: null, list: [], kinds: [], to: 0, count: 0, skipped: 0, full: false, problem: '' };
  let generation = 0;
  let busy = false;
  let timer = 0;
  let listener = () => {};

  function open(run, onChange) {
    if (known.run === run) return more();
    forget();
    known.run = run;
    listener = onChange;
    more();
  }

  function forget() {
    generation++;
    clearTimeout(timer);
    busy = false;
    Object.assign(known, { run: null, list: [], kinds: [], to: 0, count: 0, skipped: 0, full: false, problem: '' });
  }

  /** Ask on, unless everything is here, it is being asked for, or nobody looks. */
  async function more() {
    clearTimeout(timer);
    if (busy || known.run === null || !Y.session.active('story') || document.hidden) return;
    // A run that was made anew under this name begins again.
    if (Y.feed.steps.length < known.to) Object.assign(known, { list: [], to: 0, full: false });
    if (known.full || (known.to > 0 && known.to >= Y.feed.steps.length)) return;
    if (known.to === 0 && known.count === 0 && !Y.feed.steps.length) return;
    busy = true;
    const mine = generation;
    try {
      const said = await Y.api.stories(known.run, known.to);
      if (mine !== generation) return;
      const rows = said.stories.map((row) => ({ ...row, key: `${row.index}.${row.item}`, rank: said.kinds.indexOf(row.kind), share: row.supporting ? row.found / row.supporting : null }));
      known.list = said.from === 0 ? rows : known.list.concat(rows);
      Object.assign(known, { kinds: said.kinds, to: said.to, count: said.count, skipped: said.skipped, full: said.full, problem: '' });
      busy = false;
      listener();
      more();
    } catch (error) {
      if (mine !== generation) return;
      busy = false;
      known.problem = error.message;
      listener();
      timer = setTimeout(more, RETRY_MS);
    }
  }

  document.addEventListener('visibilitychange', () => !document.hidden && more());

  /** The worst first; of the wrong ones the surest first, of the right ones the least sure. */
  function compare(a, b) {
    if (a.rank !== b.rank) return a.rank - b.rank;
    const sure = (row) => (row.confidence === null ? 0 : row.confidence);
    const by = a.right === false ? sure(b) - sure(a) : sure(a) - sure(b);
    return by || a.index - b.index || a.item - b.item;
  }

  const whole = () => known.full || (known.count > 0 && known.to >= known.count);

  Y.rows = Object.assign(known, { open, more, forget, compare, whole });
})();
