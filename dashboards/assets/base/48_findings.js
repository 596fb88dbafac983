/* The findings of the run: asked for while they are worked out, walked through, and jumped to. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const state = S.store.state;
  const CHECKING_MS = 250;
  const FOLLOWING_MS = 1000;
  const RETRY_MS = 4000;

  const known = { run: null, state: 'loading', done: 0, total: 0, records: 0, examined: 0, problem: null, list: [], checks: [], unchecked: [] };
  let listener = () => {};
  let timer = 0;
  let generation = 0;
  let said = '';

  function open(run, onChange) {
    stop();
    Object.assign(known, { run, state: 'loading', done: 0, total: 0, records: 0, examined: 0, problem: null, list: [], checks: [], unchecked: [] });
    listener = onChange;
    said = '';
    ask(++generation);
  }

  function stop() {
    generation++;
    clearTimeout(timer);
    timer = 0;
    known.run = null;
  }

  async function ask(mine) {
    timer = 0;
    if (mine !== generation || document.hidden) return;
    let wait = 0;
    try {
      const answer = await S.api.findings(known.run);
      if (mine !== generation) return;
      take(answer);
      wait = { checking: CHECKING_MS, waiting: CHECKING_MS, following: FOLLOWING_MS }[answer.state] || 0;
    } catch (error) {
      if (mine !== generation) return;
      if (known.state === 'loading') Object.assign(known, { state: 'failed', problem: error.message });
      wait = RETRY_MS;
      listener();
    }
    if (wait && mine === generation) timer = setTimeout(() => ask(mine), wait);
  }

  function take(answer) {
    const text = JSON.stringify(answer);
    if (text === said) return;
    said = text;
    const { findings, ...rest } = answer;
    Object.assign(known, rest, { list: findings });
    listener();
  }

  /** The feed has heard of the run: new records are looked at, and a deleted run has no findings. */
  function fed() {
    if (known.run === null || timer) return;
    const fresh = S.feed.steps.length !== known.records || (known.state === 'following' && S.feed.state !== 'live');
    if (fresh && known.state !== 'loading') timer = setTimeout(() => ask(generation), 50);
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && known.run !== null && !timer) ask(generation);
  });

  /** The finding that was chosen last, while it exists. */
  const chosen = () => known.list.find((f) => f.key === state.finding) || null;

  const fieldOf = (f) => (f.field ? `${f.memory}/${f.field}` : '');

  /** Whether what is on the screen is the record, item and memory that a finding is about. */
  const isHere = (f) => state.rec === f.index && state.item === f.item && (f.memory === 'model' || state.memory === f.memory);

  /** The page that shows the evidence: whoever reads stories goes on reading them. */
  const viewOf = (f) => (state.view === 'story' && f.field === 'episodic_attention' ? 'story' : 'scope');

  /** Go to the evidence of a finding: step, item, memory, time, slot, head. */
  function show(f) {
    const patch = { rec: f.index, step: S.feed.steps[f.index] ?? f.step, record: null, item: f.item, finding: f.key, follow: false, playing: false, view: viewOf(f) };
    const twin = S.feed.steps[f.index - 1] === patch.step || S.feed.steps[f.index + 1] === patch.step;
    if (twin) patch.record = f.index;
    if (f.memory !== 'model') patch.memory = f.memory;
    if (f.time !== null) patch.t = f.time;
    if (f.slot !== null) patch.slot = f.slot;
    // The head of the page is a read head; that of a write field is not.
    if (f.head !== null && /^read|^free|forward|backward/.test(f.field)) patch.head = f.head;
    patch.hide = state.hide.filter((name) => name !== f.field);
    S.store.set({ ...patch, open: false }, true);
    window.memviz.announce(`${f.severity}: ${f.sentence} ${where(f)}`);
  }

  /** The next or previous finding, around the ends. */
  function walk(by) {
    const n = known.list.length;
    if (!n) return window.memviz.announce(words());
    const at = known.list.findIndex((f) => f.key === state.finding);
    show(known.list[at < 0 ? (by > 0 ? 0 : n - 1) : (at + by + n) % n]);
  }

  /** "step 250, item 1, t = 3, slot 0, head 0". */
  function where(f) {
    const parts = [`step ${f.step}`, `item ${f.item}`];
    if (f.time !== null) parts.push(`t = ${f.time}`);
    if (f.slot !== null) parts.push(`slot ${f.slot}`);
    if (f.head !== null) parts.push(`head ${f.head}`);
    return parts.join(', ');
  }

  /** The state of the checks in words. */
  function words() {
    const n = known.list.length;
    if (known.state === 'failed') return `The checks failed: ${known.problem}`;
    if (known.state === 'loading') return 'Looking at the run …';
    if (!known.records) return 'Nothing recorded yet, so nothing to check.';
    if ((known.state === 'checking' || known.state === 'waiting') && !known.checks.length) {
      return known.total ? `Checking ${known.done} of ${S.words.plural(known.total, 'record')}` : 'Waiting to be checked …';
    }
    const looked = `${known.examined} of ${S.words.plural(known.records, 'record')} looked at`;
    if (!n) return `No findings, ${S.words.plural(known.checks.length, 'check')} ran; ${looked}.`;
    return `${S.words.plural(n, 'finding')}, ${S.words.plural(known.checks.length, 'check')} ran; ${looked}.`;
  }

  S.findings = Object.assign(known, { open, stop, fed, chosen, fieldOf, isHere, show, walk, where, words });
})();
