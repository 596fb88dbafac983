/* What the training did, in a sentence; how far the reading is, and a way to call it off. */
(function () {
  'use strict';
  const F = window.memviz.film;
  const { el, say, put } = F.draw;
  const { plural } = F.words;
  let dom = null;

  function mount() {
    dom = {
      title: el('h1.cp-title', { 'aria-live': 'polite' }),
      sub: el('span.sub'),
      bar: el('progress.fm-progress', { max: 1, value: 0, 'aria-label': 'Records read' }),
      halt: el('button.btn', { type: 'button', onclick: () => F.reel.halt(!F.reel.isHalted()) }),
    };
    return el('section.card.cp-head', { 'aria-label': 'Training film' }, dom.title, dom.sub, dom.bar, dom.halt);
  }

  /** The first switch of a mode, or the change of reading or writing that came first. */
  const telling = (changes) => changes.find((c) => c.statistic === 'modes' && /switched/.test(c.sentence)) || changes.find((c) => /slots|mode/.test(c.statistic)) || changes[0];

  function sentence(reel) {
    if (reel.state === 'failed') return `The film cannot be made: ${reel.problem}`;
    if (!F.feed.steps.length) return F.status.cover('') || 'Nothing recorded yet.';
    if (reel.known <= 0) return reel.state === 'stopped' ? 'The reading was called off before anything was known.' : 'Reading the records …';
    if (!reel.series.length) return `${plural(reel.known, 'record')} of a memory without slots`;
    if (!reel.changes.length) return reel.known < 6 ? `${plural(reel.known, 'record')}: too few to say what changed` : 'No number took a new level over the training';
    return telling(reel.changes).sentence;
  }

  function draw(reel) {
    say(dom.title, sentence(reel));
    const working = reel.state === 'working' || reel.state === 'loading';
    const shown = [];
    if (reel.known > 0 && reel.series.length) shown.push(`${plural(reel.changes.length, 'change')} in ${reel.series.length} series over ${plural(reel.known, 'record')}`);
    if (working && reel.total) shown.push(`${reel.done} of ${plural(reel.total, 'record')} read`);
    if (reel.state === 'stopped') shown.push(`called off: ${reel.known} of ${plural(reel.records, 'record')} are known`);
    if (reel.state === 'following') shown.push('follows the run');
    if (reel.block > 1) shown.push(`pooled: a column is ${reel.block} records`);
    if (F.status.isStale()) shown.push(F.status.words());
    say(dom.sub, shown.join('  ·  '));
    dom.bar.hidden = !working || !reel.total;
    dom.bar.value = reel.total ? reel.done / reel.total : 0;
    dom.halt.hidden = !(working && reel.total) && !F.reel.isHalted();
    say(dom.halt, F.reel.isHalted() ? 'Go on' : 'Stop');
    put(dom.halt, 'title', F.reel.isHalted() ? 'Read the remaining records' : 'Read no further; what is known stays');
  }

  F.head = { mount, draw };
})();
