/* The Playground has what the other pages share (dashboards/assets/base/), and its own parts beside it. */
(function () {
  'use strict';
  const P = (window.memviz.playground = Object.create(window.memviz.base));

  /** What is chosen and written; 90_page.js alone changes it. A choice is {network, model}, both ids. */
  P.state = {
    networks: null, // [{id, name, description, models: [{id, description, problem}]}]; null until they are known
    a: null, // the chosen model
    b: null, // the one beside it
    story: '',
    question: '',
    sample: null, // the last sampled story, with its right answer
    now: null, // the prediction that is shown
    before: null, // the one before it
    tried: [], // all predictions, the oldest first
    shift: false, // whether the table shows the shift since the last prediction
    busy: '', // what is waited for, in words
    failed: null, // what went wrong, an AskError
  };
  P.page = {}; // filled by 90_page.js: what the parts call when somebody acts
  P.limits = { story: 20000, question: 500, facts: 300, words: 100 };

  P.keyOf = (choice) => `${choice.network}/${choice.model}`;
  P.same = (one, other) => (one ? P.keyOf(one) : '') === (other ? P.keyOf(other) : '');
  P.chosen = () => [P.state.a, P.state.b].filter(Boolean);
  /** What the list says of a chosen model; undefined when it is not there (any more). */
  P.listed = (choice) => {
    const network = (P.state.networks || []).find((one) => one.id === choice.network);
    return network && network.models.find((one) => one.id === choice.model);
  };
  P.networkName = (id) => ((P.state.networks || []).find((one) => one.id === id) || { name: id }).name;

  /** A text between quotation marks, cut where it is long. */
  P.quoted = (text, most) => `“${text.length > (most || 60) ? text.slice(0, (most || 60) - 1) + '…' : text}”`;

  /** A probability or a gate: three decimals, and where that would say 0 its size. */
  P.share = (v) => (v > 0 && v < 0.0005 ? P.words.short(v) : P.words.fixed(v, 3));
  P.signed = (v, digits) => (v > 0 ? '+' : '') + P.words.fixed(v, digits ?? 3);
})();
