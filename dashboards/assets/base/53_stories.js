/* Which memories of a record are stories: gates over facts, as a dynamic memory network has. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const state = S.store.state;
  const AXES = 'time,batch,fact';

  const isStory = (field) => field.name === 'episodic_attention' && field.axes.join() === AXES && !field.derived;

  /** Names of the memories of a record (GET /records/{i}) that have a story. */
  const memories = (about) => (about ? about.memories.filter((m) => m.fields.some(isStory)).map((m) => m.name) : []);

  /** Whether the chosen record has one, as far as is known. */
  const here = () => memories(S.session.about()).length > 0;

  /** To the story of the chosen record and back to Scope. */
  function go() {
    if (state.view === 'story') return S.session.go('scope');
    if (here()) return S.session.go('story');
    window.memviz.announce('This record is no story: no memory of it has gates over facts.');
  }

  S.stories = { memories, here, go };
})();
