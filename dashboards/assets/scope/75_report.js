/* All findings in full, with what to try and where it is from, and what was and could not be checked. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el } = S.draw;
  const F = S.findings;
  const { short, num } = S.words;
  let dialog = null;

  function open() {
    if (dialog) dialog.remove();
    const close = el('button.btn', { type: 'button', onclick: () => dialog.close() }, 'Close');
    const head = el('div.sc-hd', {}, el('h2.ttl', {}, 'Findings'), el('span.sub', {}, F.words()), el('span.spring'), close);
    const body = el('div.sc-tablebody.sc-report', { tabindex: 0 }, ...F.list.map(entry), checked());
    dialog = el('dialog.sc-dialog', { 'aria-label': 'Findings' }, head, body);
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
  }

  function entry(f) {
    const show = el('button.btn', { type: 'button', onclick: () => (dialog.close(), F.show(f)) }, 'show');
    const spread = f.spread ? `; ${f.spread.beyond} of ${S.words.plural(f.spread.items, 'item')}, median ${short(num(f.spread.median))}` : '';
    const since = f.since !== f.step ? `, since step ${f.since}` : '';
    return el(
      'article.sc-entry',
      {},
      S.strip.icon(f.severity),
      el(
        'div',
        {},
        el('p.sc-esentence', {}, ...S.strip.emphasised(f.sentence)),
        el('p.sub', {}, `${f.severity}, ${f.diagnostic} of ${F.fieldOf(f) || f.memory}, ${F.where(f)}: ${short(num(f.value))}, threshold ${short(f.threshold)}${spread}${since}`),
        el('p.sub', {}, `Try: ${f.suggestion}`),
        el('p.sub', {}, `Source: ${f.source}`)
      ),
      show
    );
  }

  function checked() {
    const failed = F.unchecked.map((u) => el('li', {}, `${u.diagnostic} of ${u.memory}: ${u.reason}`));
    const parts = [el('h3.ttl', {}, `${S.words.plural(F.checks.length, 'check')} made`), el('p.sub', {}, F.checks.join(', ') || 'none')];
    if (failed.length) parts.push(el('h3.ttl', {}, `${failed.length} could not be made`), el('ul.sub', {}, ...failed));
    return el('div.sc-checked', {}, ...parts);
  }

  S.report = { open };
})();
