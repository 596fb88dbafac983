/* The routes of the Playground (docs/playground.md): one function each, errors in words, cards kept. */
(function () {
  'use strict';
  const P = window.memviz.playground;
  const BASE = '/api/v1/networks';
  const TRIES = 4;
  const enc = encodeURIComponent;
  const cards = new Map(); // key and version -> {card | failed | promise}

  /** What went wrong, as the routes say it; `unknown` names words by where they are. */
  class AskError extends Error {
    constructor(status, said) {
      super([said.what, said.remedy].filter(Boolean).join('; '));
      this.status = status;
      this.unknown = said.unknown || null;
    }
  }

  const later = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

  async function ask(path, body) {
    const how = { cache: 'no-store' };
    if (body) Object.assign(how, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
    for (let attempt = 1; ; attempt++) {
      let response;
      let said;
      try {
        response = await fetch(BASE + path, how);
        said = await response.json();
      } catch (error) {
        if (response) throw new AskError(response.status, { what: `the server answered ${response.status}` });
        throw new AskError(0, { what: 'the server does not answer', remedy: 'if it was stopped, start memviz serve again' });
      }
      if (response.ok) return said;
      // Busy with other questions: it says when to ask again.
      if (response.status === 429 && attempt < TRIES) await later(Number(response.headers.get('Retry-After')) || 1);
      else throw new AskError(response.status, said.error || { what: `the server answered ${response.status}` });
    }
  }

  const modelPath = (choice) => `/${enc(choice.network)}/models/${enc(choice.model)}`;

  /** All networks, each with its models. */
  async function networks() {
    const found = await ask('');
    const models = await Promise.all(found.map((network) => ask(`/${enc(network.id)}/models`)));
    return found.map((network, at) => ({ ...network, models: models[at] }));
  }

  // A file that is written anew has another version, and other words perhaps.
  const cardKey = (choice) => `${P.keyOf(choice)}@${(P.listed(choice) || {}).version}`;

  /** Ask for the card of a model once; `cardNow` has it, or the error, when the promise is done. */
  function card(choice) {
    const key = cardKey(choice);
    const known = cards.get(key);
    if (known && !known.failed) return known.promise;
    const entry = {};
    entry.promise = ask(modelPath(choice)).then(
      (found) => Object.assign(entry, { card: found, words: new Set(found.vocab) }),
      (error) => Object.assign(entry, { failed: error })
    );
    cards.set(key, entry);
    return entry.promise;
  }

  /** {card, words}, {failed} or null while it is not here. */
  function cardNow(choice) {
    const entry = cards.get(cardKey(choice));
    return entry && (entry.card || entry.failed) ? entry : null;
  }

  const sample = (choice, task, seed) => {
    const given = Object.entries({ task, seed }).filter(([, v]) => v !== null && v !== undefined && v !== '');
    return ask(`${modelPath(choice)}/_sample?${new URLSearchParams(given)}`);
  };
  const predict = (choice, story, question) => ask(`${modelPath(choice)}/_predict`, { story, question });

  P.ask = { AskError, networks, card, cardNow, sample, predict };
})();
