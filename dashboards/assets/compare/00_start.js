/* The Compare page has what all pages about a run have (assets/base/), and how the other side is named in the address. */
(function () {
  'use strict';
  const P = (window.memviz.compare = Object.create(window.memviz.base));
  const state = P.store.state;
  P.page = {}; // filled by 90_page.js

  P.LAW = '@law'; // no run is named so

  /** What `cmp` in the address means: {run, step} (step null: the last record), {law: true}, or null. */
  P.parse = (cmp) => {
    if (!cmp) return null;
    if (cmp === P.LAW) return { law: true };
    const found = /^(.+)@(\d+)$/.exec(cmp);
    return found ? { run: found[1], step: Number(found[2]) } : { run: cmp, step: null };
  };

  P.name = (run, step) => (step === null ? run : `${run}@${step}`);

  /** A change of the selection that holds this record against another one. */
  P.against = (run, step, more) => ({ view: 'compare', playing: false, cmp: P.name(run, step), cmprecord: null, cmpitem: null, cmpmemory: null, ...more });

  /** Hold the record against another one of the same run, by its index. */
  P.againstRecord = (index) => {
    const { steps } = P.feed;
    const step = steps[index];
    const twin = steps[index - 1] === step || steps[index + 1] === step;
    return P.against(state.run, step, { cmprecord: twin ? index : null });
  };

  /** What there is to compare with, best first: [text, the change of the selection]. */
  P.offers = () => {
    const found = [];
    const { rec } = state;
    if (rec !== null && rec > 0) found.push(['the previous record', P.againstRecord(rec - 1)]);
    if (rec !== null && rec > 1) found.push(['the first record', P.againstRecord(0)]);
    if (rec !== null && rec < P.feed.steps.length - 1) found.push(['the last record', P.againstRecord(P.feed.steps.length - 1)]);
    const about = P.session.about();
    const items = about ? (about.batch || [0]).length : 1;
    if (rec !== null && items > 1) found.push(['the next item', { ...P.againstRecord(rec), cmpitem: (state.item + 1) % items }]);
    if (rec !== null) found.push(['the update law of its memory', { ...P.against('', null), cmp: P.LAW }]);
    return found;
  };

  const enter = () => {
    if (state.view === 'compare') return P.session.go('scope');
    if (state.cmp) return P.session.go('compare');
    const best = P.offers()[0];
    if (best) P.store.set(best[1], true);
    else P.session.go('compare');
  };

  const key = { keys: ['d'], key: 'd', text: 'compare with another record, and back', run: enter };
  for (const page of ['scope', 'film', 'compare']) window.memviz.actions.offer(page, [key]);
  window.memviz.palette.source(async () => {
    if (state.run === null) return [];
    const here = P.offers().map(([text, patch]) => ({ group: 'compare', text: `compare with ${text}`, run: () => P.store.set(patch, true) }));
    try {
      const { runs } = await P.api.runs();
      const others = runs.filter((run) => run.id !== state.run && run.state !== 'error' && run.records);
      const there = others.map((run) => ({ group: 'compare', text: `compare with run ${run.name}`, run: () => P.store.set(P.against(run.id, run.step), true) }));
      return [...here, ...there];
    } catch (error) {
      return here;
    }
  });
})();
