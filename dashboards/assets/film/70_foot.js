/* The foot: play through training, and two scrubbers, the training step and the time within the sequence. */
(function () {
  'use strict';
  const F = window.memviz.film;
  const { el, say } = F.draw;
  const { state } = F.store;
  let dom = null;

  const records = () => Math.max(1, F.feed.steps.length);

  function mount() {
    const player = F.player(advance);
    const step = F.track({
      id: 'film-steps',
      label: 'Training step',
      count: records,
      at: () => state.rec ?? 0,
      go: (i, push) => F.moves.choose(i, push),
      name: (i) => F.feed.steps[i] ?? '',
      words: (i) => `step ${F.feed.steps[i] ?? ''}, record ${i + 1} of ${records()}`,
      marks: () => F.reel.changes.filter((c) => c.memory === state.memory).map((c) => ({ at: c.index, colour: 'ink2' })),
    });
    const time = F.track({
      id: 'film-times',
      label: 'Time within the sequence',
      count: () => F.session.times(),
      at: () => Math.min(state.t, F.session.times() - 1),
      go: (t, push) => F.page.toTime(t, push, {}),
      name: (t) => t,
      words: (t) => `time ${t} of ${F.session.times() - 1}${F.page.nameAt(t) ? `, ${F.page.nameAt(t)}` : ''}`,
    });
    dom = { player, step, time, speeds: F.speeds(), stepSaid: el('span.note.cp-time'), timeSaid: el('span.note.cp-time') };
    return el('footer.sc-foot.fm-foot', { 'aria-label': 'Playback' }, player.node, el('span.note', {}, 'step'), step.node, dom.stepSaid, el('span.note', {}, 'time'), time.node, dom.timeSaid, dom.speeds.node, el('span.note', {}, '·  ', el('kbd', {}, '?'), ' keys'));
  }

  /** One tick: the next record, from the last one to the first; a record that is still loading is waited for. */
  function advance() {
    if (!F.session.active('film') || !F.page.isShown()) return;
    const [low, high] = F.moves.rangeOfRecords();
    const rec = state.rec ?? 0;
    F.moves.choose(rec >= high ? low : rec + 1, false);
  }

  function draw() {
    dom.player.draw();
    dom.speeds.draw();
    dom.step.draw();
    dom.time.draw();
    say(dom.stepSaid, `record ${(state.rec ?? 0) + 1} of ${records()}`);
    const name = F.page.nameAt(state.t);
    say(dom.timeSaid, `t = ${state.t} of ${F.session.times() - 1}${name ? `, ${name}` : ''}`);
  }

  F.foot = { mount, draw, stop: () => dom && dom.player.stop(), toggle: () => dom.player.toggle() };
})();
