/* The choice of network and model, of one beside it, and what the card of each says. */
(function () {
  'use strict';
  const P = window.memviz.playground;
  const { el, put } = P.draw;
  const state = P.state;
  let node = null;
  let network, model, beside, cards, said;
  let listed = null;
  let carded = '';

  function mount() {
    network = select('pg-network', (value) => P.page.choose({ network: value, model: null }));
    model = select('pg-model', (value) => P.page.choose({ network: state.a.network, model: value }));
    beside = select('pg-beside', (value) => P.page.beside(value ? JSON.parse(value) : null));
    said = el('p.note.pg-about');
    cards = el('div.pg-cards');
    node = el(
      'section.card.pg-models',
      { 'aria-labelledby': 'pg-models-title' },
      el('h2.ttl', { id: 'pg-models-title' }, 'Network'),
      field('Network', network),
      field('Model', model),
      field('Beside', beside),
      said,
      cards
    );
    return node;
  }

  const select = (id, change) => el('select.pg-select', { id, change: (event) => change(event.target.value) });
  const field = (name, control) => el('div.pg-field', {}, el('label', { for: control.id }, name), control);

  const option = (value, text) => el('option', { value }, text);

  function fill() {
    if (listed === state.networks) return;
    listed = state.networks;
    network.replaceChildren(...listed.map((one) => option(one.id, one.name)));
    const groups = listed.map((one) => {
      const group = el('optgroup', { label: one.name });
      group.append(...one.models.map((entry) => option(JSON.stringify({ network: one.id, model: entry.id }), entry.id)));
      return group;
    });
    beside.replaceChildren(option('', 'nothing'), ...groups);
  }

  function draw() {
    const empty = state.networks !== null && !state.networks.length;
    for (const control of [network, model, beside]) control.disabled = !state.a;
    if (!state.a) {
      said.textContent = empty ? '' : 'Looking for networks …';
      cards.replaceChildren();
      return;
    }
    fill();
    const chosen = listed.find((one) => one.id === state.a.network);
    if (network.value !== chosen.id) network.value = chosen.id;
    const names = JSON.stringify(chosen.models.map((one) => one.id));
    if (model.dataset.names !== names) {
      model.replaceChildren(...chosen.models.map((one) => option(one.id, one.id)));
      put(model, 'data-names', names);
    }
    model.value = state.a.model;
    beside.value = state.b ? JSON.stringify({ network: state.b.network, model: state.b.model }) : '';
    said.textContent = chosen.description;
    const key = JSON.stringify(P.chosen().map((choice) => [choice, P.listed(choice), Boolean(P.ask.cardNow(choice))]));
    if (carded === key) return;
    const open = new Set([...cards.querySelectorAll('details[open]')].map((details) => details.dataset.key));
    carded = key;
    cards.replaceChildren(...P.chosen().map((choice) => cardOf(choice, open.has(P.keyOf(choice)))));
  }

  function cardOf(choice, open) {
    const entry = P.ask.cardNow(choice);
    const about = P.listed(choice);
    const box = el('div.pg-card');
    box.append(el('p.note', {}, el('b', {}, choice.model), `: ${about.description}.`));
    if (!entry) box.append(el('p.sub', {}, 'Loading the network; the first one takes some seconds.'));
    else if (entry.failed) box.append(el('p.pg-error', { role: 'alert' }, entry.failed.message));
    else {
      const details = el('details', { open, 'data-key': P.keyOf(choice) }, el('summary', {}, `Model card of ${choice.model}`));
      details.append(...parts(entry.card));
      box.append(details);
    }
    return box;
  }

  const list = (pairs) => {
    const dl = el('dl.pg-facts');
    for (const [name, value] of pairs) dl.append(el('dt', {}, name.replaceAll('_', ' ')), el('dd', {}, String(value)));
    return dl;
  };

  function parts(card) {
    const made = [];
    const measured = card.families.filter((family) => family.accuracy !== null);
    const table = el('table.pg-accuracy', {}, el('caption', {}, measured.length ? 'Right answers, on stories that it never saw' : 'Learned, not measured'));
    for (const family of card.families) {
      const known = family.accuracy !== null;
      const row = el('tr', {}, el('th', { scope: 'row' }, `${family.id} ${family.name}`));
      const bar = el('span.pg-percent');
      if (known) bar.append(Object.assign(el('i'), { style: `width:${Math.max(0, Math.min(100, family.accuracy))}%` }));
      row.append(el('td', {}, bar), el('td', {}, known ? `${P.words.fixed(family.accuracy, 1)} %` : '–'));
      table.append(row);
    }
    made.push(table);
    const training = { learned_from: card.training.files || card.training.data, ...card.training };
    delete training.data;
    delete training.files;
    training.supervision = card.training.supervision ? `by supporting facts, weight ${card.training.supervision}` : 'answers alone';
    made.push(el('h3', {}, 'Training'), list(Object.entries(training)));
    const made_of = { variant: card.variant, parameters: card.parameters.toLocaleString('en'), ...card.hyperparameters };
    made.push(el('h3', {}, 'Hyperparameters'), list(Object.entries(made_of)));
    made.push(el('h3', {}, `Vocabulary, ${P.words.plural(card.vocab.length, 'word')}`), el('p.pg-vocab', {}, card.vocab.join(' ')));
    made.push(el('h3', {}, `Answers, ${card.answers.length}`), el('p.pg-vocab', {}, card.answers.join(' · ')));
    return made;
  }

  P.models = { mount, draw, again: () => (carded = '') };
})();
