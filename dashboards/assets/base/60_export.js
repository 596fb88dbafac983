/* Export: a panel, a figure or the record as a file, and the selection as Python that reads it (docs/export.md). */
(function () {
  'use strict';
  const S = window.memviz.base;
  const { el, say } = S.draw;
  const state = S.store.state;
  const FORMATS = [
    ['png', 'PNG', 'A picture.'],
    ['svg', 'SVG', 'A picture whose texts stay texts.'],
    ['pdf', 'PDF', 'A picture for print.'],
    ['csv', 'CSV', 'Exact values of this item, one row each.'],
    ['npz', 'npz', 'Exact arrays of this item, for numpy.load.'],
    ['html', 'HTML', 'The figure in one file, to zoom and hover.'],
  ];
  const RECORD = 'The record itself: Scope and Lineage in one file that needs no server.';
  let dialog = null;

  const offline = () => Boolean(window.memviz.offline);
  const ready = () => state.run !== null && state.rec !== null && S.session.about() !== null;

  /** The address of a file; `parts` as in docs/api.md, "export". */
  function address(parts) {
    const given = Object.entries(parts).filter(([, v]) => v !== null && v !== undefined);
    const query = given.map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join('&');
    return `/api/v1/runs/${encodeURIComponent(state.run)}/records/${state.rec}/export?${query}`;
  }

  async function fetched(parts) {
    let response;
    try {
      response = await fetch(address(parts), { cache: 'no-store' });
    } catch (error) {
      throw new Error('the server does not answer');
    }
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({ error: {} }));
    throw new Error((error && error.what) || `the server answered ${response.status}`);
  }

  /** What can be exported of this record: groups of [value, words]; a value is {figure, head}. */
  function choices() {
    const about = S.session.about();
    const memory = S.session.memory();
    const own = (memory ? memory.fields : []).concat(...about.memories.filter((m) => m.name === 'model' && m !== memory).map((m) => m.fields));
    const has = (...names) => names.some((name) => own.some((field) => field.field === `${state.memory}/${name}`));
    const figures = [
      has('write_weights', 'read_weights', 'write_vectors', 'read_vectors') && [{ figure: 'ntm' }, 'NTM figure: inputs, adds, writes; outputs, reads'],
      has('write_weights', 'read_weights') && [{ figure: 'dnc' }, 'DNC figure: weights and gates per slot and time'],
      has('episodic_attention') && [{ figure: 'dmn' }, 'DMN table: facts by hops, raw and effective'],
      [{ figure: 'page' }, 'this page: all panels, memory and links'],
    ].filter(Boolean);
    const panels = [];
    const matrices = [];
    for (const field of own.filter((one) => one.axes.includes('time') && one.kind !== 'index')) {
      const matrix = S.matrixFields.isMatrix(field);
      const n = S.matrixFields.pictures(field);
      for (let k = 0; k < Math.min(n, 16); k++) {
        const words = `${field.title}${n > 1 ? `, head ${k}` : ''}`;
        (matrix ? matrices : panels).push([{ figure: `panel:${field.field}`, head: n > 1 ? k : null, matrix }, words]);
      }
    }
    return [['Figure', figures], ['Panel over time', panels], [`Matrix at t = ${state.t}`, matrices]].filter(([, list]) => list.length);
  }

  /** The panel or card that has the focus, as {field, head}. */
  function focused() {
    const node = document.activeElement && document.activeElement.closest('[data-field]');
    return node ? { field: node.dataset.field, head: node.dataset.head === undefined ? null : Number(node.dataset.head) } : null;
  }

  function shell() {
    const shut = el('button.btn', { type: 'button', onclick: () => dialog.close() }, 'Close');
    const body = el('div.ex-body');
    const made = el('dialog.sc-dialog.ex-dialog', { 'aria-label': 'Export' }, el('div.sc-hd', {}, el('h2.ttl', {}, 'Export'), el('span.spring'), shut), body);
    const opener = document.activeElement;
    made.addEventListener('close', () => {
      made.remove();
      dialog = null;
      if (opener && opener.isConnected) opener.focus({ preventScroll: true });
    });
    document.body.append(made);
    dialog = made;
    return body;
  }

  function open() {
    if (offline()) return window.memviz.announce('This file holds one record; export others with memviz serve or memviz export');
    if (dialog || !ready()) return;
    const at = focused();
    const groups = choices();
    const all = groups.flatMap(([, list]) => list);
    const select = el('select.sc-select', { id: 'export-what', 'aria-label': 'What to export' });
    let i = 0;
    for (const [title, list] of groups) select.append(el('optgroup', { label: title }, ...list.map(([, words]) => el('option', { value: i++ }, words))));
    const mine = all.findIndex(([value]) => at && value.figure === `panel:${at.field}` && (value.head === null || at.head === null || value.head === at.head));
    select.value = String(Math.max(0, mine));
    const status = el('p.note.ex-status', { role: 'status' });
    const words = el('p.note.ex-words');
    const chosen = () => all[Number(select.value)][0];
    const told = ([form, , text]) => say(words, form === 'html' && chosen().figure === 'page' ? RECORD : text);
    const buttons = FORMATS.map((format) =>
      el('button.btn', { type: 'button', 'data-format': format[0], onclick: () => save(chosen(), format[0], status), onfocus: () => told(format), onpointerenter: () => told(format) }, format[1])
    );
    const record = el('button.btn.ex-record', { type: 'button', id: 'export-record', onclick: () => save({ figure: 'page' }, 'html', status) }, 'Save the record as one HTML file');
    const code = el('pre.ex-code', { tabindex: 0, 'aria-label': 'Python for this selection' }, 'loading …');
    const copy = el('button.btn', { type: 'button', id: 'export-python', onclick: () => copyText(code.textContent, 'The Python is copied', status) }, 'Copy Python');
    const link = el('button.btn', { type: 'button', id: 'export-link', onclick: () => S.commands.copyLink().then(() => say(status, 'The link is copied')) }, 'Copy link');
    const body = shell();
    body.append(
      el('label.ex-row', {}, el('span', {}, 'What'), select),
      el('div.ex-row', { role: 'group', 'aria-label': 'Format' }, el('span', {}, 'As'), ...buttons),
      words,
      el('div.ex-row', {}, el('span', {}, 'Or'), record),
      el('p.note', {}, `${RECORD} Item ${state.item} of step ${state.step}, with lineage of every read.`),
      el('div.ex-row', {}, el('span', {}, 'Read it'), copy, link),
      code,
      status
    );
    say(words, 'Weights are on the fixed scale 0 to 1; values in CSV and npz are exact and never pooled.');
    const show = () => python(chosen()).then((text) => say(code, text), (error) => say(code, error.message));
    select.addEventListener('change', show);
    dialog.showModal();
    select.focus();
    show();
  }

  const place = () => ({ item: state.item, memory: state.memory, time: state.t, slot: state.slot, head: state.head });

  /** Make a file and hand it to the browser; what goes on is said. */
  async function save(value, form, status) {
    const tell = (text) => {
      if (status) say(status, text);
      window.memviz.announce(text);
    };
    const record = value.figure === 'page' && form === 'html';
    const table = form === 'csv' || form === 'npz';
    // Values are wanted for all times, unless it is one picture of a moment.
    const time = table && !value.matrix ? null : state.t;
    const parts = { format: form, figure: value.figure, item: state.item, memory: state.memory, time };
    parts.head = value.figure.startsWith('panel:') ? value.head : record ? state.head : null;
    if (record) parts.slot = state.slot;
    tell(record ? 'Making the file; a long record takes a while …' : 'Making the file …');
    try {
      const response = await fetched(parts);
      const name = (/filename="([^"]*)"/.exec(response.headers.get('Content-Disposition')) || [])[1] || `memviz.${form}`;
      const blob = await response.blob();
      const url = URL.createObjectURL(blob);
      el('a', { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      const left = JSON.parse(response.headers.get('X-Memviz-Left-Out') || '[]');
      tell(`${name} is saved${left.length ? `; not in it: ${left.join('; ')}` : ''}`);
    } catch (error) {
      tell(`Not saved: ${error.message}`);
    }
  }

  /** Python that reads the selection: a field, or on the Lineage page where a read comes from. */
  async function python(value) {
    const parts = { format: 'python', ...place() };
    if (state.view === 'lineage' && !(value && value.figure.startsWith('panel:'))) Object.assign(parts, { view: 'lineage', write: state.write });
    else if (value && value.figure.startsWith('panel:')) Object.assign(parts, { field: value.figure.slice(6), head: value.head ?? state.head });
    else if (focused()) Object.assign(parts, { field: focused().field, head: focused().head ?? state.head });
    return (await fetched(parts)).text();
  }

  async function copyText(text, done, status) {
    let said = done;
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) {
      said = 'The browser does not allow copying';
    }
    if (status) say(status, said);
    window.memviz.announce(said);
  }

  /** Copy the Python for what is looked at now. */
  async function copyPython() {
    if (offline()) return window.memviz.announce('Python for this selection: open the run with memviz serve');
    if (!ready()) return;
    try {
      await copyText(await python(null), 'The Python for this selection is copied', null);
    } catch (error) {
      window.memviz.announce(`No Python: ${error.message}`);
    }
  }

  if (!offline()) {
    const actions = [
      { keys: ['e'], key: 'e', text: 'export: figure, panel, values, or the record as one file', run: open },
      { keys: ['p'], key: 'p', text: 'copy Python that reads this selection', run: copyPython },
      { text: 'save the record as one HTML file', run: () => ready() && save({ figure: 'page' }, 'html', null) },
    ];
    for (const page of ['scope', 'lineage']) window.memviz.actions.offer(page, actions);
    window.memviz.palette.source(() => {
      if (!ready() || !['scope', 'lineage'].includes(S.session.name)) return [];
      const [[, figures]] = choices();
      return figures.flatMap(([value, words]) => ['png', 'svg'].map((form) => ({ group: 'export', text: `${words.split(':')[0]} as ${form.toUpperCase()}`, run: () => save(value, form, null) })));
    });
  }

  S.exporting = { open, copyPython, save };
})();
