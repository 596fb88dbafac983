/* The state of the run in words: live, stale, closed, interrupted, deleted, or a server that is gone. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const STALE_S = 10; // a live run that wrote nothing for so long is said to be stale

  /** One short phrase for the timeline. */
  function words() {
    const { feed } = S;
    const age = feed.ageNow();
    if (feed.state === 'loading') return 'opening the run';
    if (feed.state === 'gone') return `server gone, retrying; last data ${S.words.ago(age)} ago`;
    if (feed.state === 'deleted') return 'this run is gone from the disk';
    if (feed.state === 'error') return 'the run cannot be read';
    if (feed.state === 'closed') return 'run closed';
    if (feed.state === 'interrupted') return `interrupted; last data ${S.words.ago(age)} ago`;
    if (!isStale()) return 'live';
    return `last data ${S.words.ago(age)} ago`;
  }

  /** Whether what is shown may no longer be what is true. */
  function isStale() {
    const age = S.feed.ageNow();
    return S.feed.state === 'gone' || (S.feed.state === 'live' && age !== null && age > STALE_S);
  }

  /** What covers the panels when they have nothing to show; '' when they have. */
  function cover(problem) {
    const { feed } = S;
    if (feed.state === 'deleted') return `There is no run “${S.store.state.run}” any more. It was moved or deleted; the list of runs shows what is there.`;
    if (feed.state === 'gone' && !feed.steps.length) return 'The server does not answer. Trying again every second.';
    if (feed.state === 'error' && !feed.steps.length) return `The run cannot be read: ${feed.problem}`;
    if (problem) return problem;
    if (feed.state === 'loading') return 'Opening the run …';
    if (!feed.steps.length) {
      return feed.state === 'live' ? 'No record yet. The first one appears here by itself.' : 'This run holds no record.';
    }
    return '';
  }

  /** State and words of a card that has no record to draw. */
  const nothing = () => (S.feed.steps.length || S.feed.state === 'loading' ? ['loading', ''] : ['empty', 'Nothing recorded yet.']);

  S.status = { nothing, words, isStale, cover };
})();
