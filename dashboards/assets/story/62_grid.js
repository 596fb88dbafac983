/* Cells of the table of stories. React comes with Dash; ag-grid finds components by name. */
(function () {
  'use strict';
  const Y = window.memviz.story;
  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const h = (...args) => window.React.createElement(...args);
  const quiet = (text) => h('span', { className: 'sub' }, text);

  // Numbers by size, texts by letters, and what is not known last.
  functions.memvizStoryCompare = function (a, b, nodeA, nodeB, descending) {
    const none = (v) => v === null || v === undefined || v === '';
    if (none(a) || none(b)) return none(a) === none(b) ? 0 : none(a) !== Boolean(descending) ? 1 : -1;
    const number = (v) => Y.words.num(v);
    const numbers = [a, b].every((v) => typeof v === 'number' || (v !== '' && !Number.isNaN(Number(v))));
    return numbers ? number(a) - number(b) : String(a).localeCompare(String(b));
  };

  components.MemvizStoryKind = function (props) {
    const row = props.data;
    const mark = row.right === null ? '–' : row.right ? '✓' : '✗';
    return h('span', { className: row.right === false ? 'st-cell-wrong' : '' }, [h('span', { key: 'm', 'aria-hidden': true }, `${mark} `), row.kind]);
  };

  components.MemvizStoryLink = function (props) {
    const row = props.data;
    const words = row.question || `record ${row.index}, item ${row.item}`;
    return h('a', { href: Y.page.hashOf(row), className: 'story-link', 'data-story': row.key, title: row.question }, words);
  };

  components.MemvizStoryText = (props) => (props.value ? h('span', { title: props.value }, props.value) : quiet('–'));
  components.MemvizStoryNumber = (props) => (props.value === null || props.value === undefined ? quiet('–') : h('span', null, Y.chance(Y.words.num(props.value))));
  components.MemvizStoryCount = (props) => h('span', null, props.value === null || props.value === undefined ? '–' : String(props.value));
  components.MemvizStoryFound = (props) => (props.data.supporting === null || props.data.found === null ? quiet('–') : h('span', null, `${props.data.found} of ${props.data.supporting}`));
  components.MemvizStoryTask = function (props) {
    const { task, family } = props.data;
    const words = [task, family].filter(Boolean).join(' ');
    return words ? h('span', { title: words }, words) : quiet('–');
  };
})();
