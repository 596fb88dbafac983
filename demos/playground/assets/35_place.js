/* The place in the address: models, story, question and the seed of a sampled one (docs/playground.md). */
(function () {
  'use strict';
  const P = window.memviz.playground;
  const state = P.state;

  /** The hash of what is chosen and written now, or of a prediction. */
  function link(entry) {
    const { story, question, sample } = entry || state;
    const choices = entry ? entry.outcomes.map((one) => one.choice) : P.chosen();
    const params = new URLSearchParams();
    if (choices[0]) {
      params.set('network', choices[0].network);
      params.set('model', choices[0].model);
    }
    if (choices[1]) params.set('beside', P.keyOf(choices[1]));
    if (story) params.set('story', story);
    if (question) params.set('question', question);
    if (sample && story) {
      params.set('task', sample.task);
      params.set('seed', sample.seed);
    }
    const rest = params.toString();
    return '#/playground' + (rest ? '?' + rest : '');
  }

  /** What an address asks for: {a, b, story, question}; models that are not there give way to the first. */
  function read(params) {
    const found = state.networks.find((one) => one.id === params.get('network')) || state.networks[0];
    const its = found.models.find((one) => one.id === params.get('model')) || found.models[0];
    const [network, model] = (params.get('beside') || '').split(/\/(.*)/s);
    const other = state.networks.find((one) => one.id === network);
    const b = other && other.models.some((one) => one.id === model) ? { network, model } : null;
    return { a: { network: found.id, model: its.id }, b, story: params.get('story') || '', question: params.get('question') || '' };
  }

  P.place = { link, read };
})();
