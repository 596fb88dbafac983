/* The foot: play through time, the scrubber of time, and what is shown in one line. */
(function () {
  'use strict';
  const P = window.memviz.compare;
  const { el, say } = P.draw;
  const state = P.store.state;
  let dom = null;
  let times = 1;
  let differ = [];

  function mount() {
    const player = P.player(advance);
    const track = P.track({
      id: 'compare-scrub',
      label: 'Time within the sequence',
      count: () => times,
      at: () => Math.min(state.t, times - 1),
      go: (t, push) => P.store.set({ t }, push),
      name: (t) => t,
      words: (t) => `time ${t} of ${times - 1}`,
      marks: () => differ,
    });
    dom = { player, track, speeds: P.speeds(), time: el('span.note.cp-time'), words: el('span.note.sc-words') };
    return el('footer.sc-foot.cp-foot', { 'aria-label': 'Playback' }, player.node, track.node, dom.time, dom.speeds.node, el('span.spring'), dom.words, el('span.note', {}, '·  ', el('kbd', {}, '?'), ' keys'));
  }

  const advance = () => P.session.active('compare') && P.store.set({ t: state.t >= times - 1 ? 0 : state.t + 1 });

  function draw(data) {
    times = data ? Math.max(1, data.times) : P.session.times();
    differ = data && data.first ? [{ at: data.first.time, colour: 'warn' }] : [];
    dom.player.draw();
    dom.speeds.draw();
    dom.track.draw();
    say(dom.time, `time ${Math.min(state.t, times - 1)} of ${times - 1}`);
    say(dom.words, data ? `${data.b.law_of ? 'recorded against computed' : data.align.text}${P.status.isStale() ? `  ·  ${P.status.words()}` : ''}` : '');
    dom.words.title = dom.words.textContent;
  }

  P.foot = { mount, draw, stop: () => dom && dom.player.stop(), toggle: () => dom.player.toggle() };
})();
