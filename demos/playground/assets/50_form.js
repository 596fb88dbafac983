/* Story and question: what is written, what is wrong with it, and the buttons that act on it. */
(function () {
  'use strict';
  const P = window.memviz.playground;
  const { el, put, say } = P.draw;
  const state = P.state;
  const NAMED = 12; // unknown words that are named; more are counted
  let story, question, count, storyWrong, questionWrong, why, predict, family, sample, link, linked;
  let families = '';

  function mount() {
    story = el('textarea.pg-story', { id: 'pg-story', rows: 12, spellcheck: 'false', 'aria-describedby': 'pg-story-wrong', placeholder: 'Mary moved to the bathroom.\nJohn went to the hallway.' });
    question = el('input.pg-input', { id: 'pg-question', type: 'text', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'pg-question-wrong', placeholder: 'Where is Mary?' });
    count = el('span.sub.pg-count');
    storyWrong = el('p.pg-wrong', { id: 'pg-story-wrong', role: 'status' });
    questionWrong = el('p.pg-wrong', { id: 'pg-question-wrong', role: 'status' });
    predict = el('button.btn.pg-primary', { type: 'submit', id: 'pg-predict', 'aria-describedby': 'pg-why' }, 'Predict');
    family = el('select.pg-select', { id: 'pg-family', 'aria-label': 'Family of the sampled story' });
    sample = el('button.btn', { type: 'button', id: 'pg-sample', click: () => P.page.sample(family.value) }, 'Sample');
    link = el('button.btn', { type: 'button', id: 'pg-link', title: 'Copy an address that shows models, story and question again', click: copy }, 'Copy link');
    linked = el('input.pg-input.mono', { readonly: true, hidden: true, 'aria-label': 'Link to this prediction', focus: () => linked.select() });
    why = el('p.note.pg-why', { id: 'pg-why', role: 'status' });
    const written = () => P.page.write(story.value, question.value);
    story.addEventListener('input', written);
    question.addEventListener('input', written);
    const form = el(
      'form.card.pg-form',
      { 'aria-label': 'Story and question' },
      el('div.pg-row', {}, el('label.ttl', { for: 'pg-story' }, 'Story'), count),
      story,
      storyWrong,
      el('label.ttl', { for: 'pg-question' }, 'Question'),
      question,
      questionWrong,
      el('div.pg-row', {}, predict, el('span.spring'), link),
      why,
      el('div.pg-row', {}, family, sample),
      linked
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      P.page.predict();
    });
    form.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      P.page.predict();
    });
    return form;
  }

  async function copy() {
    const address = location.href.split('#')[0] + P.page.link();
    try {
      await navigator.clipboard.writeText(address);
      say(link, 'Copied');
      window.memviz.announce('The link is copied');
      setTimeout(() => say(link, 'Copy link'), 1500);
    } catch (error) {
      // No clipboard on a plain address of another machine.
      linked.hidden = false;
      linked.value = address;
      linked.focus();
    }
  }

  /** Unknown words of a text, [{models, words}]: models that do not know the same words are named together. */
  function unknownIn(text) {
    const said = [];
    for (const choice of P.chosen()) {
      const entry = P.ask.cardNow(choice);
      const words = entry && entry.words ? P.text.unknown(text, entry.words) : [];
      if (!words.length) continue;
      const same = said.find((one) => one.words.join(' ') === words.join(' '));
      if (same) same.models.push(choice.model);
      else said.push({ models: [choice.model], words });
    }
    return said;
  }

  function tell(node, found, input) {
    const sentences = found.map(({ models, words }) => {
      const rest = words.length > NAMED ? ` and ${words.length - NAMED} more` : '';
      return el('span', {}, `Not known to ${models.join(' and ')}: `, el('b', {}, words.slice(0, NAMED).map((word) => P.text.visible(word).slice(0, 80)).join(', ')), rest);
    });
    const now = sentences.map((node) => node.textContent).join();
    if (node.dataset.said !== now) {
      put(node, 'data-said', now);
      node.replaceChildren(...sentences);
    }
    put(input, 'aria-invalid', Boolean(found.length));
  }

  /** Why nothing can be predicted now; '' when it can. */
  function held() {
    if (!state.a) return 'Choose a network.';
    const long = P.text.tooLong(state.story, state.question);
    if (long) return long;
    for (const choice of P.chosen()) {
      const entry = P.ask.cardNow(choice);
      if (!entry) return `Loading ${choice.model}; its words are not known yet.`;
      if (entry.failed) return `${choice.model} cannot be asked.`;
    }
    if (!P.text.factsOf(state.story).length) return 'Write a story, or sample one.';
    if (!P.text.wordsOf(state.question).length) return 'Write a question.';
    const places = [['story', P.text.factsOf(state.story).join(' ')], ['question', state.question]];
    const where = places.filter(([, text]) => unknownIn(text).length).map(([name]) => name);
    return where.length ? `Predict waits until the unknown words in ${where.join(' and ')} are gone.` : '';
  }

  function draw() {
    if (story.value !== state.story) story.value = state.story;
    if (question.value !== state.question) question.value = state.question;
    const long = state.story.length > P.limits.story;
    const facts = long ? [] : P.text.factsOf(state.story);
    say(count, facts.length ? P.words.plural(facts.length, 'sentence') : 'one sentence per line');
    tell(storyWrong, long ? [] : unknownIn(facts.join(' ')), story);
    tell(questionWrong, state.question.length > P.limits.question ? [] : unknownIn(state.question), question);
    const reason = held();
    predict.disabled = Boolean(reason || state.busy);
    sample.disabled = family.disabled = !state.a || Boolean(state.busy);
    link.disabled = !state.a;
    say(predict, state.busy ? 'Waiting …' : 'Predict');
    say(why, state.busy || reason || 'Ctrl Enter predicts too.');
    const entry = state.a && P.ask.cardNow(state.a);
    const known = entry && entry.card ? entry.card.families : [];
    const key = JSON.stringify(known.map((one) => one.id));
    if (key !== families) {
      families = key;
      const any = el('option', { value: '' }, known.length > 1 ? `any of ${known.length} families` : 'any');
      family.replaceChildren(...(known.length === 1 ? [] : [any]), ...known.map((one) => el('option', { value: one.id }, `${one.id} ${one.name}`)));
    }
    if (!linked.hidden && document.activeElement !== linked) linked.hidden = true;
  }

  P.form = { mount, draw, held, focus: () => story.focus() };
})();
