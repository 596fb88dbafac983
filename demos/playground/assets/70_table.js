/* Facts × hops: raw and effective gates of each model, the largest of each column marked; facts can be edited in place. */
(function () {
  'use strict';
  const P = window.memviz.playground;
  const { el } = P.draw;
  const state = P.state;
  const ECLIPSED = 0.3; // as in memviz.analysis.stories
  const NARROW = 8; // columns from which on numbers have two decimals, so that two models fit side by side

  /** Tables of a prediction: models that see the same facts share one. */
  function tables(now, before) {
    const groups = [];
    for (const outcome of now.outcomes) {
      if (!outcome.answer) continue;
      const mates = groups.find((group) => same(group[0].answer.facts, outcome.answer.facts));
      if (mates) mates.push(outcome);
      else groups.push([outcome]);
    }
    return groups.map((group) => table(now, before, group));
  }

  const same = (one, other) => one.length === other.length && one.every((fact, at) => fact === other[at]);
  const largest = (values) => values.reduce((best, v, at) => (v > values[best] ? at : best), 0);

  /** The columns of the table: one per model, hop and kind of gate, with what it was last time where that is known. */
  function columns(group, before) {
    const made = [];
    for (const { choice, answer } of group) {
      const last = before && before.outcomes.find((one) => P.same(one.choice, choice) && one.answer);
      const was = last ? P.text.align(last.answer.facts, answer.facts) : null;
      answer.episodes.forEach((raw, hop) => {
        const effective = answer.effective[hop];
        for (const [kind, values] of [['raw', raw], ['effective', effective]]) {
          const old = last && (kind === 'raw' ? last.answer.episodes : last.answer.effective)[hop];
          const shift = old ? values.map((v, at) => (was[at] === null ? null : v - old[was[at]])) : null;
          made.push({ choice, hop, kind, values, raw, effective, shift, most: largest(values), left: answer.left[hop] });
        }
      });
    }
    return made;
  }

  function table(now, before, group) {
    const { facts } = group[0].answer;
    const cols = columns(group, before);
    const shifting = state.shift && cols.some((col) => col.shift);
    const narrow = cols.length > NARROW;
    const gold = P.page.gold(now);
    // Facts are sentences unless the network gates words; only sentences can be edited and have a gold mark.
    const sentences = same(facts, now.facts);
    const supporting = new Set(gold && sentences ? gold.supporting : []);
    const made = el(`table.pg-table${narrow ? '.pg-narrow' : ''}`, { 'data-mode': shifting ? 'shift' : 'gates' });
    made.append(el('caption.sr-only', {}, `Gates of ${facts.length} facts in each hop of ${group.map((one) => one.choice.model).join(' and ')}`));
    made.append(head(group, cols, supporting.size, narrow));
    const body = el('tbody');
    facts.forEach((fact, at) => body.append(row(fact, at, cols, supporting, shifting, sentences, narrow ? 2 : 3)));
    made.append(body, foot(cols, supporting.size));
    return made;
  }

  const first = (col) => (col.kind === 'raw' ? '.pg-first' : '');

  function head(group, cols, gold, narrow) {
    const lead = 2 + (gold ? 1 : 0);
    const top = el('tr.pg-names');
    top.append(el('td', { colspan: lead }));
    for (const { choice, answer } of group) top.append(el('th.pg-first', { scope: 'colgroup', colspan: 2 * answer.episodes.length }, choice.model));
    const hops = el('tr.pg-hopnames');
    hops.append(el('td', { colspan: lead }));
    for (const col of cols) {
      if (col.kind === 'raw') continue;
      hops.append(el('th.pg-first', { scope: 'colgroup', colspan: 2 }, el('b', {}, `Hop ${col.hop}`), el('span.sub', {}, `${narrow ? '' : 'keeps '}most: fact ${col.most}`)));
    }
    const kinds = el('tr.pg-kinds', {}, el('th', { scope: 'col' }, '#'), el('th', { scope: 'col' }, 'fact, in story order'));
    if (gold) kinds.append(el('th', { scope: 'col' }, 'gold'));
    for (const col of cols) kinds.append(el(`th${first(col)}`, { scope: 'col' }, col.kind));
    return el('thead', {}, ...(group.length > 1 ? [top] : []), hops, kinds);
  }

  function row(fact, at, cols, supporting, shifting, sentences, digits) {
    const made = el(supporting.has(at) ? 'tr.pg-supporting' : 'tr', { 'data-fact': at });
    made.append(el('th.pg-n', { scope: 'row' }, String(at)), el('td.pg-facttext', {}, sentences ? editable(fact, at) : P.text.visible(fact)));
    if (supporting.size) made.append(el('td.pg-check', {}, supporting.has(at) ? el('span', { title: 'a supporting fact' }, '✓', el('span.sr-only', {}, ' supporting')) : ''));
    for (const col of cols) made.append(shifting ? shiftCell(col, at, digits) : gateCell(col, at, digits));
    return made;
  }

  function gateCell(col, at, digits) {
    const v = col.values[at];
    const most = at === col.most;
    const eclipsed = col.kind === 'effective' && col.raw[at] - v > ECLIPSED;
    const cell = el(`td.pg-gate.pg-${col.kind}${first(col)}`, { title: `${col.choice.model}, hop ${col.hop}, fact ${at}: gate ${P.words.exact(col.raw[at])}, kept ${P.words.exact(col.effective[at])}` });
    const inner = el(`span.pg-cell${most ? '.pg-most' : ''}${eclipsed ? '.pg-eclipsed' : ''}`, {}, P.words.fixed(v, digits));
    if (most) inner.append(el('span.sr-only', {}, ', the largest'));
    if (eclipsed) inner.append(el('span.sr-only', {}, ', eclipsed'));
    paint(inner, P.colour.cividis(v));
    cell.append(inner);
    return cell;
  }

  function shiftCell(col, at, digits) {
    const v = col.shift ? col.shift[at] : null;
    const none = v === null || v === undefined;
    const cell = el(`td.pg-gate.pg-${col.kind}${first(col)}`, { title: none ? 'nothing to compare with' : `${P.words.exact(col.values[at] - v)} became ${P.words.exact(col.values[at])}` });
    const inner = el(`span.pg-cell${none ? '.pg-none' : ''}`, {}, none ? 'new' : Math.abs(v) < 0.5 * 10 ** -digits ? '0' : P.signed(v, digits));
    if (!none) paint(inner, P.colour.diverging(v));
    cell.append(inner);
    return cell;
  }

  /** A ground, and of black and white the ink that stands out more against it. */
  function paint(node, rgb) {
    const linear = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    node.style.background = P.colour.css(rgb);
    node.style.color = 1.05 / (light + 0.05) > (light + 0.05) / 0.05 ? '#fff' : '#000';
  }

  function foot(cols, gold) {
    const made = el('tr', {}, el('th', { scope: 'row', colspan: 2 + (gold ? 1 : 0) }, 'left from the empty state'));
    for (const col of cols) made.append(el(`td${first(col)}`, {}, col.kind === 'raw' ? '' : P.words.fixed(col.left, 3)));
    return el('tfoot', {}, made);
  }

  // Editing in place

  function editable(fact, at) {
    const text = el('button.pg-fact', { type: 'button', title: 'Edit this fact', click: () => edit(text.parentElement, fact, at) }, P.text.visible(fact));
    const out = el('button.pg-out', { type: 'button', title: 'Leave this fact out', 'aria-label': `Leave out fact ${at}`, click: () => P.page.replaceFact(at, null) }, '×');
    return el('div.pg-editable', {}, text, out);
  }

  function edit(box, fact, at) {
    const input = el('input.pg-input', { type: 'text', value: fact, spellcheck: 'false', 'aria-label': `Fact ${at}` });
    const wrong = el('p.pg-wrong', { role: 'alert' });
    let done = false;
    const stop = () => {
      if (done) return;
      done = true;
      box.replaceWith(editable(fact, at));
    };
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        stop();
        focusFact(at);
      }
      if (event.key !== 'Enter') return;
      event.preventDefault();
      const given = input.value.trim();
      if (given === fact) return stop();
      const problem = P.page.replaceFact(at, given);
      if (problem) wrong.textContent = problem;
      else done = true;
    });
    // What was changed stays where it can be seen until Enter or Esc; untouched, it closes by itself.
    input.addEventListener('blur', () => input.value === fact && stop());
    box.replaceChildren(input, wrong);
    input.focus();
    input.select();
  }

  function focusFact(at) {
    const found = document.querySelector(`.pg-table tr[data-fact="${at}"] .pg-fact`);
    if (found) found.focus();
  }

  /** The largest change of what a hop kept, over all hops and facts; null where there is nothing to compare with. */
  function mostShifted(outcome, before) {
    let best = null;
    for (const col of columns([outcome], before)) {
      if (col.kind === 'raw' || !col.shift) continue;
      col.shift.forEach((v, at) => {
        if (v !== null && (!best || Math.abs(v) > Math.abs(best.by))) best = { hop: col.hop, fact: at, by: v, now: col.values[at] };
      });
    }
    return best;
  }

  P.table = { tables, mostShifted, focusFact, largest };
})();
