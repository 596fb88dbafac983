/* The other side: which record the address means, found among the steps of its run; and the runs to choose from. */
(function () {
  'use strict';
  const P = window.memviz.compare;
  const state = P.store.state;
  const AGAIN_MS = 2000; // how often a run that is being written is asked for new records

  const known = new Map(); // run -> {steps, state, problem}
  let runs = [];
  let busy = '';
  let timer = 0;

  /** The steps of a run as far as they are known; asks for those that are not, and calls `done` when they are here. */
  function stepsOf(run, done) {
    if (run === state.run) return { steps: P.feed.steps, state: P.feed.state, problem: '' };
    const found = known.get(run);
    if (!found || (found.state === 'live' && performance.now() - found.heard > AGAIN_MS)) ask(run, done);
    return found || null;
  }

  async function ask(run, done) {
    if (busy === run) return;
    busy = run;
    try {
      const before = known.get(run);
      const answer = await P.api.poll(run, 0);
      known.set(run, { steps: answer.steps, state: answer.state, problem: '', heard: performance.now() });
      if (!before || before.steps.length !== answer.steps.length || before.problem) done();
    } catch (error) {
      const problem = error.status === 404 ? `There is no run “${run}” here.` : error.message;
      known.set(run, { steps: [], state: error.status === 0 ? 'live' : 'error', problem, heard: performance.now() });
      done();
    } finally {
      busy = '';
    }
  }

  /** Index of the last record at or before a step. */
  const indexAt = (steps, step) => {
    let at = 0;
    for (let i = 0; i < steps.length && steps[i] <= step; i++) at = i;
    return at;
  };

  /**
   * What the address asks for: {kind: 'none' | 'law' | 'loading' | 'problem' | 'record', run, index, step, steps, words}.
   */
  function chosen(done) {
    const asked = P.parse(state.cmp);
    if (!asked) return { kind: 'none' };
    if (asked.law) return { kind: 'law' };
    const found = stepsOf(asked.run, done);
    if (!found) return { kind: 'loading', run: asked.run };
    if (found.problem) return { kind: 'problem', run: asked.run, words: found.problem, steps: [] };
    const { steps } = found;
    if (!steps.length) return found.state === 'loading' ? { kind: 'loading', run: asked.run } : { kind: 'problem', run: asked.run, words: `The run “${asked.run}” holds no record yet.`, steps };
    const pinned = state.cmprecord !== null && state.cmprecord < steps.length;
    const index = pinned ? state.cmprecord : asked.step === null ? steps.length - 1 : indexAt(steps, asked.step);
    return { kind: 'record', run: asked.run, index, step: steps[index], steps };
  }

  /** Ask for the list of runs, now and again while the page is shown. */
  async function listRuns(done) {
    clearTimeout(timer);
    try {
      const answer = await P.api.runs();
      const list = answer.runs.filter((run) => run.state !== 'error' && run.records);
      const changed = JSON.stringify(list.map((run) => run.id)) !== JSON.stringify(runs.map((run) => run.id));
      runs = list;
      if (changed) done();
    } catch (error) {
      // The status of the page says that the server is away.
    }
    timer = setTimeout(() => P.session.active('compare') && listRuns(done), 5000);
  }

  P.other = { chosen, stepsOf, listRuns, indexAt, runs: () => runs, forget: () => known.clear() };
})();
