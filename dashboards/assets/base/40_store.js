/* The selection: what the reader looks at. Held in the location hash, shared by every panel, undone by the back button. */
(function () {
  'use strict';
  const S = window.memviz.base;

  const DEFAULTS = {
    run: null, // id of the run
    view: 'scope', // which page about it
    finding: null, // key of the finding whose evidence is shown
    q: null, // the query; '' with the box open and nothing asked
    hit: null, // number of the place of the query that is shown
    links: 'matrix', // or arcs
    word: null, // chosen column of the memory, for the life of one cell
    tab: 'shares', // of the Lineage page
    write: null, // time of the write that the Lineage page follows forward
    sort: '', // of the facts on the Story page: gold, raw.<hop>, effective.<hop>; '' is story order
    kind: null, // result that its table of stories is filtered by
    only: null, // task that it is filtered by
    find: null, // words that it is filtered by
    rec: null, // index of the record, known once the run has answered
    step: null, // training step asked for; null follows the newest record
    record: null, // index asked for, only where several records share one step
    item: 0,
    memory: null,
    t: 0, // time within the sequence
    slot: 0,
    open: false, // neither time nor slot was asked for: the page chooses a telling one
    head: 0, // read head that leads: links, announcements
    range: null, // [from, to] steps brushed on the timeline
    follow: false,
    scale: 'linear', // or log: weights on a log scale with a floor
    hide: [], // fields whose panels are hidden
    more: false, // the area of further fields is open
    scalar: null, // curve on the timeline when it is not the loss
    cmp: null, // what the Compare page holds against the record: "<run>@<step>", "<run>" for its last record, or "@law"
    cmprecord: null, // index of that record, only where several share the step
    cmpitem: null, // item of that record; null: the same as here
    cmpmemory: null, // memory of that record; null: of the same name
    align: null, // how slots are aligned: writes, content or none; null leaves it to what was recorded
    limits: 'fixed', // or own: the scale of the differences
    still: null, // field that the Film page shows through training; null: the first that there is
    at: null, // name of the time that it shows; null: the time t
    playing: false,
    mode: 'time', // what play moves: time (looping), steps (records at one time), all (time, then the next record)
    speed: 4, // times per second
  };

  const TABS = ['shares', 'destroyed', 'readers', 'table'];

  const state = { ...DEFAULTS };
  const listeners = [];
  let written = '';
  let timer = 0;

  const whole = (text, low) => (/^\d+$/.test(text || '') ? Math.max(low || 0, Number(text)) : null);

  /** The selection that a hash asks for; what it leaves out has its default. */
  function parse(run, params) {
    const next = { ...DEFAULTS, run, view: params.get('view') || 'scope', speed: state.speed, mode: state.mode };
    next.step = whole(params.get('step'));
    next.record = whole(params.get('record'));
    next.item = whole(params.get('item')) ?? 0;
    next.finding = params.get('finding');
    next.q = params.get('q');
    next.hit = next.q === null ? null : whole(params.get('hit'));
    next.links = params.get('links') === 'arcs' ? 'arcs' : 'matrix';
    next.word = whole(params.get('word'));
    next.write = whole(params.get('write'));
    next.sort = /^(gold|(raw|effective)\.\d+)$/.test(params.get('sort') || '') ? params.get('sort') : '';
    for (const key of ['kind', 'only', 'find']) next[key] = params.get(key) || null;
    next.tab = TABS.includes(params.get('tab')) ? params.get('tab') : 'shares';
    next.memory = params.get('memory');
    next.t = whole(params.get('t') ?? params.get('time')) ?? 0;
    next.slot = whole(params.get('slot')) ?? 0;
    next.open = !['t', 'time', 'slot'].some((key) => params.has(key));
    next.head = whole(params.get('head')) ?? 0;
    const range = /^(\d+)\.\.(\d+)$/.exec(params.get('range') || '');
    if (range) next.range = [Number(range[1]), Number(range[2])].sort((a, b) => a - b);
    next.follow = params.get('follow') === '1' || (next.step === null && !params.has('play'));
    next.scale = params.get('scale') === 'log' ? 'log' : 'linear';
    next.hide = (params.get('hide') || '').split(',').filter(Boolean);
    next.more = params.get('more') === '1';
    next.scalar = params.get('scalar');
    next.cmp = params.get('cmp') || null;
    for (const key of ['cmprecord', 'cmpitem']) next[key] = whole(params.get(key));
    for (const key of ['cmpmemory', 'still', 'at']) next[key] = params.get(key) || null;
    next.align = ['writes', 'content', 'none'].includes(params.get('align')) ? params.get('align') : null;
    next.limits = params.get('limits') === 'own' ? 'own' : 'fixed';
    const play = params.get('play');
    next.playing = play === '1' || play === 'time' || play === 'steps' || play === 'all';
    if (next.playing) next.mode = play === '1' ? 'all' : play;
    return next;
  }

  /** The hash of the selection. `playing` is left out on purpose: a reload must not start over. */
  function format(s) {
    const parts = [];
    const add = (key, given) => parts.push(`${key}=${encodeURIComponent(given).replaceAll('%2C', ',').replaceAll('%2F', '/').replaceAll('%40', '@')}`);
    if (s.step !== null) add('step', s.step);
    if (s.record !== null) add('record', s.record);
    add('item', s.item);
    if (s.memory) add('memory', s.memory);
    add('t', s.t);
    add('slot', s.slot);
    add('head', s.head);
    if (s.word !== null) add('word', s.word);
    if (s.links !== 'matrix') add('links', s.links);
    if (s.view !== 'scope') add('view', s.view);
    if (s.view === 'lineage' && s.write !== null) add('write', s.write);
    if (s.view === 'lineage' && s.tab !== 'shares') add('tab', s.tab);
    if (s.view === 'story' && s.sort) add('sort', s.sort);
    for (const key of ['kind', 'only', 'find']) if (s.view === 'story' && s[key]) add(key, s[key]);
    if (s.finding) add('finding', s.finding);
    if (s.q !== null) add('q', s.q);
    if (s.q !== null && s.hit !== null) add('hit', s.hit);
    if (s.range) add('range', `${s.range[0]}..${s.range[1]}`);
    if (s.follow && s.step !== null) add('follow', 1);
    if (s.scale === 'log') add('scale', 'log');
    if (s.hide.length) add('hide', s.hide.join(','));
    if (s.more) add('more', 1);
    if (s.scalar) add('scalar', s.scalar);
    for (const key of ['cmp', 'cmprecord', 'cmpitem', 'cmpmemory', 'align', 'still', 'at']) if (s[key] !== null) add(key, s[key]);
    if (s.limits !== 'fixed') add('limits', s.limits);
    return `#/run/${encodeURIComponent(s.run)}?${parts.join('&')}`;
  }

  /** Write the hash. Scrubbing writes late and leaves no history entry: browsers refuse hundreds of entries a minute. */
  function write(push) {
    if (state.run === null) return;
    if (push) {
      clearTimeout(timer);
      timer = 0;
      const hash = format(state);
      if (hash !== written) {
        written = hash;
        window.memviz.navigate(hash, { replace: false });
      }
    } else if (!timer) {
      timer = setTimeout(() => {
        timer = 0;
        if (window.memviz.arriving()) return write(false);
        const hash = format(state);
        if (hash === written || state.run === null) return;
        written = hash;
        window.memviz.navigate(hash, { replace: true });
      }, 200);
    }
  }

  /** Change the selection and tell every listener what changed. `push` makes a history entry. */
  function set(patch, push) {
    const changed = new Set();
    const before = format({ ...state, run: state.run ?? '' });
    for (const [key, given] of Object.entries(patch)) {
      const same = state[key] === given || (Array.isArray(given) && JSON.stringify(state[key]) === JSON.stringify(given));
      if (!same) changed.add(key);
    }
    if (!changed.size) return;
    // The entry that back returns to must be what was on the screen, not what was last written while scrubbing.
    if (push && state.run !== null && before !== written) {
      clearTimeout(timer);
      timer = 0;
      written = before;
      window.memviz.navigate(before, { replace: true });
    }
    Object.assign(state, patch, { open: state.open && !('t' in patch || 'slot' in patch) });
    write(Boolean(push));
    for (const listener of listeners) listener(state, changed);
  }

  /** Take over the selection of a route; false when it is what the page wrote itself. */
  function adopt(run, params) {
    if (state.run === run && window.location.hash === written) return false;
    const next = parse(run, params);
    const changed = new Set(Object.keys(next).filter((key) => JSON.stringify(next[key]) !== JSON.stringify(state[key])));
    clearTimeout(timer);
    timer = 0;
    // The index of the record is worked out again from the step by the page.
    Object.assign(state, next);
    changed.add('rec');
    written = window.location.hash;
    for (const listener of listeners) listener(state, changed);
    return true;
  }

  /** Stop owning the hash: another page is shown. */
  function release() {
    clearTimeout(timer);
    timer = 0;
    written = '';
    state.run = null;
    state.playing = false;
  }

  S.store = { state, set, adopt, release, parse, format, write, listen: (f) => listeners.push(f) };
})();
