/* The sentence above everything: what was asked, what came out, and what that changed. */
(function () {
  'use strict';
  const P = window.memviz.playground;
  const { el } = P.draw;
  const state = P.state;

  const mount = () => el('header.card.pg-head');

  function draw(node) {
    const { now } = state;
    const title = el('h1.pg-title', {}, now ? P.quoted(now.question, 160) : 'Ask a network about a story');
    const numbers = el('dl.pg-numbers');
    if (now) for (const [name, value] of facts(now)) numbers.append(el('div', {}, el('dt', {}, name), el('dd', {}, value)));
    node.replaceChildren(el('div.pg-headline', {}, title, numbers), ...(now ? shifts(now, state.before) : []));
  }

  function facts(now) {
    const gold = P.page.gold(now);
    const made = now.outcomes.filter((one) => one.answer).map((one) => [now.outcomes.length > 1 ? `answer of ${one.choice.model}` : 'answer', one.answer.answer]);
    if (gold) made.push(['right answer', gold.answer], ...kept(now, gold), ['sampled from', `${gold.task} ${gold.family}`]);
    else if (now.sampled) made.push(['right answer', 'not known once edited']);
    return made;
  }

  /** How many supporting facts are among those kept most (memviz.analysis.stories). */
  function kept(now, gold) {
    return now.outcomes
      .filter((one) => one.answer && one.answer.facts.length === now.facts.length)
      .map((one) => {
        const most = now.facts.map((_, at) => Math.max(...one.answer.effective.map((hop) => hop[at])));
        const order = most.map((_, at) => at).sort((x, y) => most[y] - most[x] || x - y);
        const best = order.slice(0, gold.supporting.length);
        const found = gold.supporting.filter((at) => best.includes(at)).length;
        const name = now.outcomes.length > 1 ? `supporting facts kept by ${one.choice.model}` : 'supporting facts kept';
        return [name, `${found} of ${gold.supporting.length}`];
      });
  }

  /** What changed since the last prediction, and what each model that answered both times made of it. */
  function shifts(now, before) {
    const changed = before ? P.text.difference(before, now) : '';
    if (!changed || changed.startsWith('another story') || now.sampled !== before.sampled) return [];
    const lines = now.outcomes.flatMap((one) => {
      const last = before.outcomes.find((other) => P.same(other.choice, one.choice));
      return one.answer && last && last.answer ? [el('span', {}, shifted(one, last.answer, before))] : [];
    });
    if (!lines.length) return [];
    return [el('p.pg-shift', {}, el('b', {}, `${changed.charAt(0).toUpperCase()}${changed.slice(1)}`), ...lines)];
  }

  function shifted({ choice, answer }, last, before) {
    const p = (given) => P.words.fixed(given.probability, 3);
    const said =
      answer.answer === last.answer
        ? `${choice.model} still answers ${answer.answer} (${p(last)} → ${p(answer)})`
        : `${choice.model} answered ${last.answer} (${p(last)}) and now answers ${answer.answer} (${p(answer)})`;
    const moved = P.table.mostShifted({ choice, answer }, before);
    if (!moved || Math.abs(moved.by) < 0.01) return `${said}; its hops keep the same facts.`;
    return `${said}; hop ${moved.hop} keeps ${P.words.fixed(moved.now, 3)} of fact ${moved.fact}, before ${P.words.fixed(moved.now - moved.by, 3)}.`;
  }

  P.head = { mount, draw };
})();
