/* The page: what is chosen and asked, the place in the address, and drawing it all when something changes. */
(function () {
  'use strict';
  const memviz = window.memviz;
  const P = memviz.playground;
  const { el, put } = P.draw;
  const state = P.state;
  const RETRY_MS = 2000;
  let root = null;
  let parts = null;
  let scheduled = 0;
  let ticket = 0; // of the last question; answers to earlier ones are dropped
  let wanted = null; // the place that is still to be brought about
  let loading = null;

  const active = () => memviz.route().page === 'playground' && root;

  function build() {
    if (parts) return;
    try {
      Object.assign(P.limits, JSON.parse(root.dataset.limits));
    } catch (error) {
      /* the server refuses what is too long */
    }
    root.classList.add('pg-root');
    parts = { models: P.models.mount(), form: P.form.mount(), head: P.head.mount(), behind: el('p.card.pg-behind', { role: 'status', hidden: true }, 'What follows was asked before you went on writing or choosing. Predict asks again.'), answers: el('div.pg-answers'), table: el('section.card.pg-tables', { 'aria-label': 'Facts and hops' }), tried: P.tried.mount() };
    const left = el('div.pg-left', {}, parts.models, parts.form);
    const right = el('div.pg-right', {}, parts.behind, parts.head, parts.answers, parts.table, parts.tried);
    root.replaceChildren(left, right);
  }

  function invalidate() {
    if (!scheduled) scheduled = requestAnimationFrame(draw);
  }

  // Drawing

  let drawn = null; // the prediction and the mode that answers and tables show

  function draw() {
    scheduled = 0;
    if (!active()) return;
    P.models.draw();
    P.form.draw();
    const what = [state.now, state.before, state.shift, state.networks];
    const fresh = !drawn || what.some((one, at) => one !== drawn[at]);
    if (fresh) {
      drawn = what;
      P.head.draw(parts.head);
      parts.answers.replaceChildren(...(state.now ? P.answer.cards(state.now, state.before) : []));
      parts.table.replaceChildren(...(state.now ? results() : [notice()]));
      P.tried.draw(parts.tried);
    }
    put(parts.answers, 'data-count', state.now ? state.now.outcomes.length : 0);
    const behind = Boolean(state.now && link(state.now) !== link());
    parts.behind.hidden = !behind || Boolean(state.busy);
    parts.table.hidden = Boolean(state.now && !state.now.outcomes.some((one) => one.answer));
    const kind = state.failed ? 'error' : state.busy || state.networks === null ? 'loading' : state.now ? 'ready' : 'empty';
    put(root, 'data-state', kind);
    root.classList.toggle('pg-old', Boolean(state.busy && state.now));
    crumbs();
  }

  function crumbs() {
    const chosen = P.chosen().map((choice) => ({ label: 'model', value: choice.model }));
    const key = JSON.stringify(chosen);
    if (root.dataset.crumbs === key && document.getElementById('crumbs').firstChild) return;
    put(root, 'data-crumbs', key);
    memviz.setCrumbs(chosen);
  }

  /** What stands in the place of a table while there is none. */
  function notice() {
    const box = el('div.pg-notice');
    if (state.failed) box.append(el('p.pg-error', { role: 'alert' }, `The networks cannot be listed: ${state.failed.message}.`));
    else if (state.networks === null) box.append(el('p', {}, 'Looking for trained networks …'));
    else if (!state.networks.length) {
      box.append(el('p', {}, 'There is no trained network. Train one, which takes less than a minute; it is found beside the runs that are served:'), el('pre', {}, 'memviz demo babi'), el('p', {}, 'or name a folder of checkpoints:'), el('pre', {}, 'memviz serve --models networks/'));
    } else {
      box.append(
        el('p', {}, 'Write a story and a question on the left, or take one of those that the network learned from.'),
        el('button.btn.pg-primary', { type: 'button', click: () => sample('') }, 'Sample a story'),
        el('p.sub', {}, 'Then edit a fact and see what changes.')
      );
    }
    return box;
  }

  function results() {
    const tables = P.table.tables(state.now, state.before);
    const comparable = state.before && state.now.outcomes.some((one) => one.answer && state.before.outcomes.some((other) => other.answer && P.same(other.choice, one.choice)));
    const mode = (shift, text) => el('button', { type: 'button', 'aria-pressed': String(Boolean(comparable && state.shift) === shift), disabled: shift && !comparable, title: shift && !comparable ? 'There is no earlier prediction of this model' : null, click: () => setShift(shift) }, text);
    const bar = el(
      'div.pg-row.pg-tablebar',
      {},
      el('h2.ttl', {}, 'Facts × hops'),
      el('span.sub', {}, 'effective is what the episode kept of a fact'),
      el('span.spring'),
      scale(Boolean(comparable && state.shift)),
      el('div.pg-seg', { role: 'group', 'aria-label': 'Show' }, mode(false, 'Gates'), mode(true, 'Shift'))
    );
    return [bar, ...tables.map((table) => el('div.pg-scroll', { tabindex: 0, role: 'region', 'aria-label': 'Table of gates' }, table)), legend()];
  }

  /** The colour bar: gates from 0 to 1, shifts from -1 to 1. */
  function scale(shift) {
    const stops = [...Array(11).keys()].map((at) => (shift ? P.colour.diverging((at - 5) / 5) : P.colour.cividis(at / 10)));
    const strip = el('i');
    strip.style.background = `linear-gradient(90deg, ${stops.map(P.colour.css).join(', ')})`;
    const ticks = shift ? ['−1', '0', '+1'] : ['0', '0.5', '1'];
    return el('span.pg-scale', { 'aria-hidden': 'true' }, el('span', {}, shift ? 'shift' : 'gate'), el('span', {}, strip, el('span.pg-ticks', {}, ...ticks.map((tick) => el('b', {}, tick)))));
  }

  function legend() {
    const items = el('p.sub.pg-legend');
    const sample = (name, text) => items.append(el('span', {}, el(`span.pg-cell.${name}`, { 'aria-hidden': 'true' }), ` ${text}`));
    if (!state.shift) {
      sample('pg-most', 'largest of its column');
      if (eclipses()) sample('pg-eclipsed', 'eclipsed: its gate was open, and later facts left little of it');
    }
    items.append(el('span', {}, 'E = g · Π (1 − g) over later facts where the episode runs over the facts; with what is left it sums to 1.'));
    return items;
  }

  const eclipses = () => state.now.outcomes.some((one) => one.answer && one.answer.episodes.some((hop, h) => hop.some((g, f) => g - one.answer.effective[h][f] > 0.3)));

  function setShift(shift) {
    state.shift = shift;
    invalidate();
  }

  // The place in the address

  const { link } = P.place;

  /** Bring about what the address says: from memory where it was tried, otherwise by asking. */
  async function follow(params) {
    const hash = location.hash;
    const known = state.tried.findLast((entry) => link(entry) === hash);
    if (known) {
      if (known !== state.now) show(known);
      return;
    }
    if (hash === link()) return;
    if (![...params.keys()].length) {
      // The navigation's own link: the page is as it was left.
      memviz.navigate(link(), { replace: true });
      return;
    }
    const mine = (wanted = {});
    Object.assign(state, P.place.read(params), { sample: null });
    invalidate();
    await cards();
    if (mine !== wanted) return;
    const [task, seed] = [params.get('task'), params.get('seed')];
    if (task && seed) {
      try {
        state.sample = await P.ask.sample(state.a, task, seed);
      } catch (error) {
        state.sample = null; // another version of the network: then nobody knows the right answer
      }
    }
    if (mine !== wanted) return;
    if (P.form.held() === '') await predict();
    invalidate();
  }

  const cards = () => Promise.all(P.chosen().map((choice) => P.ask.card(choice).then(invalidate)));

  // Acting

  /** Choose a model; without one the first of its network. */
  function choose({ network, model }) {
    const found = state.networks.find((one) => one.id === network);
    state.a = { network, model: model || found.models[0].id };
    if (P.same(state.a, state.b)) state.b = null;
    changed();
  }

  function beside(choice) {
    state.b = P.same(choice, state.a) ? null : choice;
    changed();
  }

  /** Another choice of models: the same question is asked again, if there was one. */
  async function changed() {
    invalidate();
    await cards();
    if (state.now && !P.form.held()) await predict();
    else memviz.navigate(link(), { replace: true });
  }

  function write(story, question) {
    Object.assign(state, { story, question });
    invalidate();
  }

  async function sample(task) {
    if (!state.a || state.busy) return;
    const mine = ++ticket;
    state.busy = 'Making a story …';
    invalidate();
    try {
      const made = await P.ask.sample(state.a, task);
      if (mine !== ticket) return;
      Object.assign(state, { sample: made, story: made.story, question: made.question, busy: '' });
      await cards();
      if (!P.form.held()) await predict();
    } catch (error) {
      if (mine === ticket) memviz.announce(`No story: ${error.message}`);
    } finally {
      if (mine === ticket) state.busy = '';
      invalidate();
    }
  }

  async function predict() {
    if (P.form.held()) {
      invalidate();
      return;
    }
    const mine = ++ticket;
    const { story, question } = state;
    const choices = P.chosen();
    state.busy = 'Asking; the first answer takes some seconds.';
    invalidate();
    const outcomes = await Promise.all(
      choices.map((choice) =>
        P.ask.predict(choice, story, question).then(
          (answer) => ({ choice, answer, failed: null }),
          (failed) => ({ choice, answer: null, failed })
        )
      )
    );
    if (mine !== ticket) return;
    state.busy = '';
    const origin = state.sample;
    const entry = { story, question, facts: P.text.factsOf(story), outcomes, sample: origin, sampled: origin ? `${origin.task}.${origin.seed}` : '' };
    const again = state.now && link(state.now) === link(entry);
    if (again) state.tried.pop();
    else state.before = state.now;
    state.tried = [...state.tried.filter((one) => link(one) !== link(entry)), entry].slice(-50);
    state.now = entry;
    wanted = null;
    memviz.navigate(link(entry), { replace: again });
    memviz.announce(outcomes.map((one) => (one.answer ? `${one.choice.model} answers ${one.answer.answer}, ${P.share(one.answer.probability)}` : `${one.choice.model}: ${one.failed.message}`)).join('; '));
    invalidate();
  }

  /** Show an earlier prediction; what was shown is then the one before it. */
  function show(entry) {
    ticket++;
    const [a, b] = entry.outcomes.map((one) => one.choice);
    Object.assign(state, { a, b: b || null, story: entry.story, question: entry.question, sample: entry.sample, before: state.now, now: entry, busy: '' });
    invalidate();
    cards();
  }

  function restore(entry) {
    if (entry === state.now) return;
    show(entry);
    memviz.navigate(link(entry));
  }

  /** Put another sentence in the place of a fact, or none, and ask again; '' or why it cannot be. */
  function replaceFact(at, text) {
    const facts = P.text.factsOf(state.now.story);
    if (text === null && facts.length === 1) return 'A story needs a fact.';
    if (text !== null && P.text.factsOf(text).length !== 1) return 'One sentence, please; × leaves the fact out.';
    for (const choice of P.chosen()) {
      const entry = P.ask.cardNow(choice);
      const words = text && entry && entry.words ? P.text.unknown(P.text.factsOf(text)[0], entry.words) : [];
      if (words.length) return `Not known to ${choice.model}: ${words.map(P.text.visible).join(', ')}`;
    }
    facts.splice(at, 1, ...(text === null ? [] : [text]));
    // What is shown was asked with this question, whatever has been written since.
    Object.assign(state, { story: facts.join('\n'), question: state.now.question });
    predict().then(() => P.table.focusFact(Math.min(at, facts.length - 1)));
    return '';
  }

  /** The right answer of a prediction, while story and question are as they were made. */
  function gold(entry) {
    const made = entry.sample;
    return made && made.story === entry.story && made.question === entry.question ? made : null;
  }

  // Coming and going

  /** The list of networks, again whenever the page is entered: one that has just been trained is in it. */
  async function load() {
    try {
      const found = (await P.ask.networks()).filter((network) => network.models.length);
      state.failed = null;
      if (JSON.stringify(found) !== JSON.stringify(state.networks)) state.networks = found;
    } catch (error) {
      // What is known is kept while the server is away.
      if (state.networks === null) state.failed = error;
      setTimeout(() => active() && state.networks === null && enter(), RETRY_MS);
      return;
    }
    if (state.b && !P.listed(state.b)) state.b = null;
    if (!state.networks.length) state.a = null;
    else if (!state.a || !P.listed(state.a)) state.a = { network: state.networks[0].id, model: state.networks[0].models[0].id };
  }

  async function enter() {
    build();
    invalidate();
    const first = state.networks === null;
    if (!loading) loading = load().finally(() => (loading = null));
    if (first) await loading;
    else loading.then(() => (invalidate(), cards()));
    invalidate();
    if (!active() || !state.networks || !state.networks.length) return;
    // Read again: the place may have changed while the list came.
    await follow(memviz.route().params);
    cards();
  }

  function arrive() {
    root = document.getElementById('playground-root');
    if (root && memviz.route().page === 'playground') enter();
  }

  memviz.actions.offer('playground', [
    { keys: ['s'], key: 's', text: 'sample a story', run: () => sample('') },
    { keys: ['e'], key: 'e', text: 'write in the story', run: () => P.form.focus() },
    { keys: ['Ctrl', 'Enter'], text: 'predict', run: () => predict() },
    { keys: ['x'], key: 'x', text: 'gates, or their shift since the last prediction', run: () => setShift(!state.shift) },
  ]);

  window.addEventListener('memviz:route', arrive);
  window.addEventListener('memviz:theme', () => {
    P.colour.reset();
    drawn = null;
    if (active()) invalidate();
  });
  Object.assign(P.page, { choose, beside, write, sample, predict, restore, replaceFact, gold, link });
  arrive();
})();
