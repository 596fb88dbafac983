/* What was asked, and the answer in four numbers. */
(function () {
  'use strict';
  const Y = window.memviz.story;
  const { el, say } = Y.draw;
  const { num, fixed } = Y.words;
  let dom = null;

  function mount() {
    dom = { title: el('h1.st-title', { id: 'story-title' }), numbers: el('dl.st-numbers'), scope: el('button.btn.st-elsewhere', { type: 'button', hidden: true, onclick: () => Y.session.go('scope') }, 'Show in Scope') };
    return el('section.card.st-head', { 'aria-label': 'Question and answer' }, dom.title, dom.numbers, dom.scope);
  }

  function title(data) {
    if (data.question) return `“${data.question}”`;
    return `A story of ${Y.words.plural(data.facts, 'fact')} and ${Y.words.plural(data.hops, 'hop')}; its question is not labelled`;
  }

  /** The answer in words, with a mark that says the same. */
  function answer(data) {
    const words = data.sentences.answer;
    if (data.right === null) return [words];
    const mark = data.right ? el('span.st-right-mark', { 'aria-hidden': 'true' }, '✓') : el('span.st-wrong-mark', { 'aria-hidden': 'true' }, '✗');
    return [mark, el(data.right ? 'span' : 'span.st-is-wrong', {}, words)];
  }

  function supporting(data) {
    if (data.supporting === null) return 'not labelled';
    if (!data.supporting.length) return 'none needed';
    if (data.found === null) return 'gates are not numbers';
    return `${data.found.length} of ${data.supporting.length}${data.missed.length ? `, not ${data.missed.join(', ')}` : ''}`;
  }

  function eclipse(data) {
    let best = null;
    for (const [hop, fact] of data.eclipsed) {
      const lost = num(data.raw[hop][fact]) - num(data.effective[hop][fact]);
      if (!best || lost > best.lost) best = { hop, fact, lost };
    }
    return best ? `fact ${best.fact}, hop ${best.hop}: ${fixed(best.lost, 2)} lost` : 'none';
  }

  function hops(data) {
    if (data.hops < 2) return 'one hop';
    let far = null;
    for (let a = 0; a < data.hops; a++) for (let b = 0; b < a; b++) {
      const bits = num(data.divergence[a][b]);
      if (!far || bits > far.bits || Number.isNaN(bits)) far = { a: b, b: a, bits };
    }
    return `${fixed(far.bits, 3)} bit, hops ${far.a} and ${far.b}`;
  }

  function draw(data) {
    dom.scope.hidden = true;
    say(dom.title, title(data));
    const pairs = [
      ['answer', answer(data)],
      ['supporting facts found', [supporting(data)]],
      ['largest eclipse', [eclipse(data)]],
      ['most different hops (JS)', [hops(data)]],
    ];
    dom.numbers.replaceChildren(...pairs.map(([name, given]) => el('div', {}, el('dt', {}, name), el('dd', {}, ...given))));
  }

  /** Nothing to tell: why not, and where the record can be seen. */
  function fail(words, elsewhere) {
    say(dom.title, words);
    dom.scope.hidden = !elsewhere;
    dom.numbers.replaceChildren();
  }

  Y.head = { mount, draw, fail };
})();
