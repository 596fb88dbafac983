/* The answers with their probabilities, after each hop where that was recorded. */
(function () {
  'use strict';
  const Y = window.memviz.story;
  const { el } = Y.draw;
  const { num } = Y.words;
  let dom = null;

  function mount() {
    dom = { body: el('div.st-body'), sub: el('span.sub') };
    return el('section.card', { 'aria-label': 'Answer' }, el('div.st-hd', {}, el('h2.ttl', {}, 'Answer'), dom.sub), dom.body);
  }

  function draw(data) {
    const t = Y.store.state.t;
    const known = data.alternatives.length;
    Y.draw.say(dom.sub, known ? `the ${known === 1 ? 'most probable' : `${known} most probable`}${data.answers ? ` of ${data.answers}` : ''}` : '');
    if (!known) {
      const words = data.predicted ? `The network answered ${data.predicted}. Other answers were not recorded` : 'What the network answered was not recorded';
      return dom.body.replaceChildren(el('p', {}, `${words} (label alternatives).`));
    }
    const steps = data.alternatives.some((one) => one.hops) ? [...Array(data.hops).keys()] : [];
    const head = el('tr', {}, el('th', { scope: 'col' }, 'answer'), ...steps.map((hop) => el(`th.st-step${hop === t ? '.st-now' : ''}`, { scope: 'col' }, `hop ${hop}`)), el('th', { scope: 'col', colspan: 2 }, steps.length ? 'at the end' : 'probability'), el('th', { scope: 'col' }, el('span.sr-only', {}, 'mark')));
    const rows = data.alternatives.map((one) => row(data, one, steps, t));
    const table = el('table.st-answers', {}, el('caption.sr-only', {}, `Probabilities of answers. ${data.sentences.answer}.`), el('thead', {}, head), el('tbody', {}, ...rows));
    const rest = num(data.rest);
    const others = data.answers ? data.answers - known : null;
    const after = rest > 5e-7 && others !== 0 ? el('p.note', {}, `${others === 1 ? 'One more answer has' : others ? `The other ${others} answers have` : 'All other answers have'} ${Y.chance(rest)}${others === 1 ? '' : ' together'}.`) : null;
    const settled = el('p.note', {}, data.sentences.settled);
    const gold = data.answer && !data.alternatives.some((one) => one.answer === data.answer) ? el('p.note', {}, `The right answer, ${data.answer}, is not among them.`) : null;
    dom.body.replaceChildren(...[el('div.st-wide', { tabindex: steps.length > 4 ? 0 : null }, table), gold, after, settled].filter(Boolean));
  }

  function row(data, one, steps, t) {
    const p = num(one.probability);
    const fill = el('span.st-fill');
    fill.style.width = `${Math.min(100, Math.max(0, 100 * p))}%`;
    const cells = steps.map((hop) => {
      if (!one.hops) return el('td.st-step', {}, el('span', { title: 'cannot be told apart from another answer' }, '–'));
      const box = el('span', {}, Y.words.fixed(num(one.hops[hop]), 2));
      Y.paint(box, num(one.hops[hop]));
      return el('td.st-step', {}, box);
    });
    const given = one.answer === data.predicted;
    const expected = data.answer !== '' && one.answer === data.answer;
    const mark = [given ? 'given' : '', expected ? 'expected' : ''].filter(Boolean).join(', ');
    return el(`tr${given ? '.st-given' : ''}`, {}, el('th', { scope: 'row', title: one.answer }, one.answer), ...cells, el('td', {}, el('span.st-track', {}, fill)), el('td.st-p', {}, Y.chance(p)), el('td.st-mark', {}, mark));
  }

  Y.answer = { mount, draw };
})();
