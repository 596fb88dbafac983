/* What each model answers: its alternatives, what it would have said after each hop, and the shift since the last time. */
(function () {
  'use strict';
  const P = window.memviz.playground;
  const { el } = P.draw;
  const SHOWN = 6;

  /** One card per model of a prediction. */
  function cards(now, before) {
    return now.outcomes.map((outcome) => {
      const last = before && before.outcomes.find((one) => P.same(one.choice, outcome.choice));
      return card(now, outcome, last && last.answer ? last.answer : null);
    });
  }

  function card(now, outcome, last) {
    const { choice, answer, failed } = outcome;
    const id = `pg-answer-${P.keyOf(choice)}`;
    const box = el('section.card.pg-answer', { 'aria-labelledby': id, 'data-model': P.keyOf(choice) });
    const head = el('div.pg-row', {}, el('h2.ttl', { id }, `Answer of ${choice.model}`), el('span.sub', {}, P.networkName(choice.network)), el('span.spring'));
    box.append(head);
    if (failed) {
      box.append(el('p.pg-error', { role: 'alert' }, `No answer: ${P.text.visible(failed.message)}.`));
      return box;
    }
    const gold = P.page.gold(now);
    if (gold) head.append(verdict(answer.answer === gold.answer));
    box.append(el('p.pg-said', {}, el('b', {}, answer.answer), ` ${P.words.fixed(100 * answer.probability, 2)} %`));
    const shown = answer.alternatives.slice(0, SHOWN);
    const right = gold && !shown.some(([name]) => name === gold.answer) && answer.alternatives.find(([name]) => name === gold.answer);
    const rows = el('div.pg-bars', { role: 'table', 'aria-label': `Alternatives of ${choice.model}` });
    for (const [name, p] of right ? [...shown.slice(0, -1), right] : shown) rows.append(bar(name, p, answer, last, gold));
    box.append(el('div.pg-found', {}, rows, hops(answer, gold)));
    return box;
  }

  const verdict = (right) => el(right ? 'span.badge.pg-right' : 'span.badge.err', {}, right ? '✓ right' : '✗ wrong');

  function bar(name, p, answer, last, gold) {
    const was = last ? last.alternatives.find(([other]) => other === name) : null;
    const top = name === answer.answer;
    const track = el('span.pg-track', { role: 'presentation' }, Object.assign(el(top ? 'i.pg-top' : 'i'), { style: `width:${100 * p}%` }));
    const moved = was && Math.abs(p - was[1]) >= 0.0005;
    if (moved) track.append(Object.assign(el('em', { title: `last time ${P.share(was[1])}` }), { style: `left:${100 * was[1]}%` }));
    return el(
      'div.pg-bar',
      { role: 'row' },
      el(top ? 'b' : 'span', { role: 'cell' }, name),
      track,
      el('span.pg-p', { role: 'cell' }, P.share(p)),
      el('span.pg-delta', { role: 'cell' }, moved ? P.signed(p - was[1]) : last && !was ? 'new' : ''),
      el('span.pg-gold', { role: 'cell' }, gold && gold.answer === name ? 'gold' : '')
    );
  }

  /** Where the answer was found: what would have been said after each hop. */
  function hops(answer, gold) {
    const list = el('ol.pg-hops', { 'aria-label': 'What would have been answered after each hop' });
    answer.hops.forEach(([name, p], hop) => {
      const right = gold && gold.answer === name;
      list.append(el('li', {}, el('span.sub', {}, `after hop ${hop}`), el('b', {}, name), el('span', {}, P.share(p)), right ? el('span.pg-gold', {}, '✓') : null));
    });
    return list;
  }

  P.answer = { cards };
})();
