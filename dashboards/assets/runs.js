// The Runs page: asks the server once a second, filters, and draws the cells of the table.
(function () {
  'use strict';

  const memviz = (window.memviz = window.memviz || {});
  const byId = (id) => document.getElementById(id);
  const POLL_MS = 1000;
  const STALE_SECONDS = 30;
  const SPARK = { width: 192, height: 36, left: 2, right: 6, top: 4, bottom: 3 };

  const state = { runs: null, root: '', chip: 'all', filter: '', selected: null, answered: null, lost: null };
  // Decades that a curve may rise above the top line of its axis, so that a loss of 1.2 needs no axis up to 10.
  const OVERSHOOT = 0.15;
  let decades = [0, -3];

  // Words

  function ago(seconds) {
    if (seconds === null || seconds === undefined) return '';
    if (seconds < 90) return Math.round(seconds) + ' s';
    if (seconds < 5400) return Math.round(seconds / 60) + ' min';
    if (seconds < 129600) return Math.round(seconds / 3600) + ' h';
    return Math.round(seconds / 86400) + ' days';
  }

  function bytes(size) {
    if (size === null || size === undefined) return '';
    if (size < 1e6) return (size / 1e3).toFixed(size < 1e4 ? 1 : 0) + ' kB';
    if (size < 1e9) return (size / 1e6).toFixed(size < 1e7 ? 1 : 0) + ' MB';
    return (size / 1e9).toFixed(1) + ' GB';
  }

  const count = (value) => (value === null || value === undefined ? '–' : value.toLocaleString('en'));
  const plural = (value, word) => `${count(value)} ${word}${value === 1 ? '' : 's'}`;

  function short(value) {
    if (typeof value !== 'number') return value;
    if (value === 0) return '0';
    if (Math.abs(value) >= 1e-4 && Math.abs(value) < 1e5) return value.toPrecision(2).replace(/e\+?.*/, () => '') * 1 + '';
    return value.toExponential(1).replace('-', '\u2212');
  }

  function power(exponent) {
    if (exponent >= 0) return (10 ** exponent).toLocaleString('en');
    return exponent < -2 ? `1e\u2212${-exponent}` : (10 ** exponent).toFixed(-exponent);
  }

  // Cells. React comes with Dash; ag-grid finds components by name.

  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const h = (...args) => window.React.createElement(...args);

  functions.memvizIsError = (params) => params.rowNode.data.state === 'error';

  // NaN is the worst loss there is, and what is not known goes last.
  functions.memvizCompare = function (a, b) {
    const rank = (value) =>
      value === null || value === undefined ? -Infinity : typeof value === 'number' ? value : Infinity;
    return rank(a) - rank(b) || 0;
  };

  function dot(kind) {
    const ring = { cx: 5, cy: 5, r: 4, fill: 'none', stroke: 'var(--line-strong)', strokeWidth: 1.5 };
    const children =
      kind === 'live'
        ? [
            h('circle', { key: 'p', className: 'pulse', cx: 5, cy: 5, r: 8, fill: 'var(--accent)' }),
            h('circle', { key: 'd', cx: 5, cy: 5, r: 5, fill: 'var(--accent)' }),
          ]
        : kind === 'interrupted'
          ? [
              h('circle', { key: 'r', ...ring, stroke: 'var(--warn)' }),
              h('path', { key: 'x', d: 'M5 2.6v3.2M5 7v.9', stroke: 'var(--warn)', strokeWidth: 1.3 }),
            ]
          : [h('circle', { key: 'r', ...ring })];
    return h('svg', { width: 10, height: 10, viewBox: '0 0 10 10', overflow: 'visible', 'aria-hidden': true }, children);
  }

  components.MemvizState = function (props) {
    const run = props.data;
    const said = {
      live: 'A process is writing this trace.',
      closed: 'The recorder closed this trace.',
      interrupted: 'The writer ended without closing the trace. What was committed is whole.',
    }[run.state];
    const stale = run.state === 'live' && run.age > STALE_SECONDS;
    return h('div', { title: stale ? 'The writer has not closed the trace. It may still run.' : said }, [
      h('span', { key: 's', className: 'run-state', 'data-run-state': run.state }, [dot(run.state), run.state]),
      stale ? h('span', { key: 'b', className: 'badge warn' }, `last data ${ago(run.age)} ago`) : null,
    ]);
  };

  const hashOf = (run) => '#/run/' + encodeURIComponent(run.id);

  components.MemvizRun = function (props) {
    const run = props.data;
    const facts = Object.entries(run.attributes || {})
      .filter(([, value]) => typeof value !== 'object' && value !== false)
      .map(([key, value]) => (key === 'task' ? String(value) : value === true ? key : `${key} ${value}`));
    return h('div', { className: 'two', title: run.id }, [
      h('a', { key: 'a', className: 'run-link', href: hashOf(run), 'data-run': run.id }, run.name),
      h('span', { key: 's', className: 'sub' }, facts.slice(0, 3).join(', ')),
    ]);
  };

  components.MemvizModel = function (props) {
    const run = props.data;
    const lines = run.memories.map((m) => [m.law || m.name, m.summary].filter(Boolean).join(': '));
    const more = lines.length > 1 ? ` and ${lines.length - 1} more` : '';
    const parameters = run.model.parameters ? `, ${count(run.model.parameters)} parameters` : '';
    return h('div', { className: 'two', title: lines.join('\n') }, [
      h('span', { key: 'm' }, (run.model.class || 'model') + parameters),
      h('span', { key: 's', className: 'sub' }, [
        run.memories.some((m) => m.story) ? h('a', { key: 'l', className: 'run-story', href: hashOf(run) + '?view=story', 'aria-label': `Stories of ${run.name}` }, 'Stories') : null,
        lines.length ? lines[0] + more : 'no memory recorded yet',
      ]),
    ]);
  };

  components.MemvizCount = (props) => h('span', null, count(props.value));

  components.MemvizRecords = function (props) {
    const run = props.data;
    if (!run.dropped) return h('span', null, count(run.records));
    const title = `${plural(run.dropped, 'record')} could not be written in time and were dropped; training went on.`;
    return h('div', { className: 'two', title }, [
      h('span', { key: 'n' }, count(run.records)),
      h('span', { key: 'd', className: 'sub', style: { color: 'var(--warn)' } }, `${count(run.dropped)} dropped`),
    ]);
  };

  components.MemvizLoss = function (props) {
    const value = props.value;
    if (value === null || value === undefined) return h('span', { className: 'sub' }, 'not logged');
    if (typeof value !== 'number') return h('span', { className: 'nan' }, value.replace('inity', ''));
    return h('b', { title: `${props.data.loss_name}, mean over its last 10 values: ${value}` }, short(value));
  };

  // What the checks found: the worst by name and number, each a link to its evidence, and how many more there are.
  components.MemvizFindings = function (props) {
    const run = props.data;
    const found = run.findings;
    const quiet = (text, title) => h('span', { className: 'sub', title }, text);
    if (!found) return quiet('–', 'nothing recorded yet');
    if (found.state === 'checking') return quiet('checking …');
    if (found.state === 'failed') return quiet('not checked', found.problem);
    if (found.worst === undefined) return quiet('open to check', 'A live run is checked while somebody looks at it.');
    // A row has room for two lines: two badges, or the worst one and how many more there are.
    const named = found.error + found.warning > found.worst.length || found.note ? found.worst.slice(0, 1) : found.worst;
    const rest = found.error + found.warning - named.length;
    const more = [rest ? `${rest} more` : '', found.note ? plural(found.note, 'note') : ''].filter(Boolean).join(', ');
    const badges = named.map((one, index) => {
      const name = one.diagnostic.replaceAll('_', ' ');
      const kind = one.severity === 'error' ? 'err' : 'warn';
      const mark = one.severity === 'error' ? '●' : '▲';
      const words = typeof one.value === 'number' ? `${name} ${short(one.value)}` : name;
      const link = { key: index, className: `badge finding ${kind}`, href: `${hashOf(run)}?${one.query}`, title: one.sentence };
      return h('a', { ...link, 'aria-label': `${one.severity}: ${one.sentence}` }, `${mark} ${words}`);
    });
    return h('div', { className: 'found' }, [...badges, more || !badges.length ? h('span', { key: 'm', className: 'sub' }, more || 'none') : null]);
  };

  components.MemvizSize = (props) => h('span', null, bytes(props.value));
  components.MemvizAge = (props) => h('span', { title: 'since the last write' }, ago(props.value));

  components.MemvizSparkHeader = () =>
    h('span', { className: 'spark-head', title: 'one log axis for all rows' }, `Loss, ${power(decades[0])} to ${power(decades[1])}`);

  components.MemvizSpark = function (props) {
    const points = props.value || [];
    const { width, height, left, right, top, bottom } = SPARK;
    const [high, low] = decades;
    const y = (value) => {
      const level = value > 0 ? Math.log10(value) : -Infinity;
      const share = (high - Math.max(low, Math.min(high + OVERSHOOT, level))) / (high - low);
      return top + share * (height - top - bottom);
    };
    // The drawing is stretched to the width of its column; strokes and the dot at the end keep their shape.
    const thin = { vectorEffect: 'non-scaling-stroke' };
    const lines = [];
    for (let decade = high; decade >= low; decade--) {
      const at = y(10 ** decade);
      lines.push(h('line', { key: decade, x1: 0, x2: width, y1: at, y2: at, stroke: 'var(--line)', ...thin }));
    }
    const first = points.length ? points[0][0] : 0;
    const span = points.length > 1 ? points[points.length - 1][0] - first || 1 : 1;
    const x = (step) => left + ((step - first) / span) * (width - left - right);
    let path = '';
    let pen = 'M';
    const odd = []; // stretches of what is no number, [from, to]
    let before = null;
    for (const [step, value] of points) {
      if (typeof value === 'number') {
        path += `${pen}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = 'L';
      } else {
        if (pen === 'M' && odd.length && typeof before !== 'number') odd[odd.length - 1][1] = x(step);
        else odd.push([x(step), x(step)]);
        pen = 'M';
      }
      before = value;
    }
    const last = points[points.length - 1];
    const broken = odd.length ? ', with values that are no numbers' : '';
    const said = points.length ? `loss from ${short(points[0][1])} to ${short(last[1])}${broken}` : 'no loss logged';
    const box = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', width: '100%', height };
    return h('svg', { ...box, role: 'img', 'aria-label': said, className: 'spark' }, [
      ...lines,
      h('path', { key: 'p', d: path, fill: 'none', stroke: 'var(--ink2)', strokeWidth: 1.5, strokeLinejoin: 'round', ...thin }),
      ...odd.map(([from, to], index) =>
        h('g', { key: 'n' + index }, [
          h('rect', { key: 'a', x: from, y: 0, width: Math.max(0, to - from), height, fill: 'var(--nan)', opacity: 0.25 }),
          h('path', { key: 'b', d: `M${from} 0V${height}`, stroke: 'var(--nan)', strokeWidth: 1.5, ...thin }),
        ]),
      ),
      last && typeof last[1] === 'number'
        ? h('path', {
            key: 'e',
            d: `M${x(last[0])} ${y(last[1])}h0`,
            stroke: 'var(--accent)',
            strokeWidth: 6,
            strokeLinecap: 'round',
            ...thin,
          })
        : null,
    ]);
  };

  components.MemvizErrorRow = function (props) {
    const run = props.data;
    return h('div', { className: 'error-row', 'data-run-state': 'error' }, [
      h('span', { key: 'b' }, h('span', { className: 'badge err' }, run.error_label)),
      h('b', { key: 'n', title: run.id, style: { overflow: 'hidden', textOverflow: 'ellipsis' } }, run.name),
      h('div', { key: 't', className: 'two', title: run.error }, [
        h('span', { key: 'e', className: 'note' }, run.error),
        h('span', { key: 'r', className: 'note', style: { color: 'var(--ink)' } }, run.remedy),
      ]),
    ]);
  };

  // Filter: words that all must occur, and comparisons such as loss<0.01

  const NUMBERS = { loss: 'last_loss', step: 'step', records: 'records', dropped: 'dropped', size: 'size', age: 'age', findings: 'findings' };
  const serious = (run) => (run.findings && run.findings.worst ? run.findings.error + run.findings.warning : null);

  function matches(run, filter) {
    const text = JSON.stringify([
      run.id,
      run.state,
      run.model,
      run.attributes,
      run.memories.map((m) => [m.name, m.law, m.summary]),
      run.error,
    ]).toLowerCase();
    return filter
      .toLowerCase()
      .split(/[\s,]+/)
      .filter(Boolean)
      .every((term) => {
        const compared = /^([a-z]+)(<=|>=|<|>|=)(-?[0-9.e+-]+)$/.exec(term);
        if (!compared || !(compared[1] in NUMBERS)) return text.includes(term);
        const value = compared[1] === 'findings' ? serious(run) : run[NUMBERS[compared[1]]];
        const bound = Number(compared[3]);
        if (typeof value !== 'number' || Number.isNaN(bound)) return false;
        return { '<': value < bound, '>': value > bound, '<=': value <= bound, '>=': value >= bound, '=': value === bound }[
          compared[2]
        ];
      });
  }

  const CHIPS = { all: () => true, live: (run) => run.state === 'live', findings: (run) => serious(run) > 0 };

  function chosen() {
    const kept = CHIPS[state.chip];
    return (state.runs || []).filter((run) => kept(run) && matches(run, state.filter));
  }

  // Drawing

  let drawn = '';

  function draw() {
    if (!byId('runs-page')) return;
    const runs = state.runs;
    const rows = chosen();
    byId('runs-loading').hidden = runs !== null;
    byId('runs-empty').hidden = runs === null || runs.length > 0;
    byId('runs-nomatch').hidden = runs === null || runs.length === 0 || rows.length > 0;
    byId('runs-table').hidden = rows.length === 0;
    notice();
    if (runs === null) return;
    const live = runs.filter((run) => run.state === 'live').length;
    byId('count-all').textContent = runs.length;
    byId('count-live').textContent = live;
    byId('count-findings').textContent = runs.filter(CHIPS.findings).length;
    for (const chip of Object.keys(CHIPS)) byId(`chip-${chip}`).setAttribute('aria-pressed', String(state.chip === chip));
    const size = runs.reduce((sum, run) => sum + (run.size || 0), 0);
    byId('runs-total').textContent = runs.length ? `${rows.length} of ${plural(runs.length, 'run')}, ${bytes(size)}` : '';
    byId('runs-nomatch-text').textContent =
      state.chip === 'live' && !state.filter
        ? `None of the ${plural(runs.length, 'run')} is being written now.`
        : state.chip === 'findings' && !state.filter
          ? `Nothing above a note was found in the ${plural(runs.length, 'run')}.`
          : `“${state.filter}” fits none of the ${plural(runs.length, 'run')}${{ live: ' that are live', findings: ' with findings' }[state.chip] || ''}.`;
    if (!rows.some((run) => run.id === state.selected)) state.selected = null;
    scale(runs);
    fill(rows);
  }

  // One axis for all rows, so that curves can be compared: whole decades, at most six.
  function scale(runs) {
    let high = -Infinity;
    let low = Infinity;
    for (const run of runs) {
      for (const [, value] of run.spark) {
        if (typeof value !== 'number' || value <= 0) continue;
        high = Math.max(high, value);
        low = Math.min(low, value);
      }
    }
    const top = high > 0 && Number.isFinite(high) ? Math.ceil(Math.log10(high) - OVERSHOOT) : 0;
    const floor = Number.isFinite(low) ? Math.floor(Math.log10(low) + 0.05) : -3;
    const next = [top, Math.max(top - 6, Math.min(top - 1, floor))];
    if (next[0] === decades[0] && next[1] === decades[1]) return;
    decades = next;
    drawn = '';
    grid((api) => {
      api.refreshHeader();
      api.refreshCells({ columns: ['spark'], force: true });
    });
  }

  async function grid(use) {
    if (!window.dash_ag_grid || !window.dash_ag_grid.getApiAsync) return;
    try {
      use(await window.dash_ag_grid.getApiAsync('runs-grid'));
    } catch (error) {
      /* the table is not there yet; the next answer draws it */
    }
  }

  function fill(rows) {
    const data = rows.map((run) => ({ ...run, selected: run.id === state.selected }));
    const text = JSON.stringify(data);
    if (text === drawn || !window.dash_clientside || !window.dash_clientside.set_props) return;
    drawn = text;
    window.dash_clientside.set_props('runs-grid', { rowData: data });
  }

  function notice() {
    const box = byId('runs-notice');
    box.hidden = state.lost === null;
    if (state.lost === null) return;
    const since = state.answered ? `Last data ${ago((Date.now() - state.answered) / 1000)} ago. ` : '';
    box.textContent = `${since}The server does not answer (${state.lost}). If it was stopped, start memviz serve again.`;
  }

  // Asking

  let timer = null;
  const showing = () => memviz.route && memviz.route().page !== 'scope' && byId('runs-page') && !byId('runs-page').hidden;

  async function poll() {
    clearTimeout(timer);
    if (showing() && !document.hidden) {
      try {
        const answer = await fetch('/api/v1/runs', { cache: 'no-store' });
        const body = await answer.json();
        if (!answer.ok) throw new Error(body.error ? body.error.what : `status ${answer.status}`);
        Object.assign(state, { runs: body.runs, root: body.root, answered: Date.now(), lost: null });
      } catch (error) {
        state.lost = error instanceof TypeError ? 'connection refused' : error.message;
      }
      draw();
    }
    clearTimeout(timer);
    timer = setTimeout(poll, POLL_MS);
  }

  // Doing

  const open = (id) => memviz.navigate('#/run/' + encodeURIComponent(id));

  function move(by) {
    const rows = chosen().filter((run) => run.state !== 'error');
    if (!rows.length) return;
    const at = rows.findIndex((run) => run.id === state.selected);
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
    state.selected = rows[Math.max(0, Math.min(rows.length - 1, next))].id;
    draw();
    const node = document.querySelector(`#runs-grid [row-id="${CSS.escape(state.selected)}"]`);
    if (node) node.scrollIntoView({ block: 'nearest' });
    memviz.announce(state.selected);
  }

  function setup() {
    const place = byId('runs-filter');
    if (!place || place.firstChild) return;
    const input = document.createElement('input');
    input.type = 'text';
    input.placeholder = 'Filter: copy, dnc, findings>0, loss<0.01';
    input.setAttribute('aria-label', 'Filter runs');
    input.autocomplete = 'off';
    input.spellcheck = false;
    input.addEventListener('input', () => {
      state.filter = input.value.trim();
      draw();
    });
    place.append(input);
  }

  document.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target || !target.closest('#runs-page')) return;
    if (target.closest('#chip-all')) state.chip = 'all';
    else if (target.closest('#chip-live')) state.chip = 'live';
    else if (target.closest('#chip-findings')) state.chip = 'findings';
    else if (target.closest('#runs-clear')) {
      state.chip = 'all';
      state.filter = '';
      byId('runs-filter').firstChild.value = '';
    } else {
      const row = target.closest('.ag-row');
      const selecting = String(window.getSelection()) !== '';
      if (row && !target.closest('a') && !row.querySelector('.error-row') && !selecting) open(row.getAttribute('row-id'));
      return;
    }
    draw();
  });

  document.addEventListener('keydown', (event) => {
    if (!showing() || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const input = byId('runs-filter').firstChild;
    const inFilter = event.target === input;
    if (event.key === '/' && !memviz.typing(event)) input.focus();
    else if (event.key === 'Escape' && inFilter) input.blur();
    else if (event.key === 'ArrowDown' || (event.key === 'j' && !memviz.typing(event))) move(1);
    else if (event.key === 'ArrowUp' || (event.key === 'k' && !memviz.typing(event))) move(-1);
    else if (event.key === 'Enter' && (inFilter || event.target === document.body)) {
      const fit = chosen().filter((run) => run.state !== 'error');
      const run = fit.find((one) => one.id === state.selected) || (inFilter ? fit[0] : null);
      if (run) open(run.id);
    } else return;
    event.preventDefault();
  });

  window.addEventListener('memviz:route', (event) => {
    if (event.detail.page !== 'runs') return;
    setup();
    memviz.setHelp([
      { keys: ['/'], text: 'filter the runs' },
      { keys: ['↑', '↓'], text: 'choose a run (also k and j)' },
      { keys: ['Enter'], text: 'open the chosen run' },
    ]);
    poll();
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) poll();
  });
})();
