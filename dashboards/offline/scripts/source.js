/*
 * The source of a page without a server: answers of the data routes (docs/api.md) from the groups inside this file.
 * `fetch` of /api/v1/... is answered here, so that the pages are the same scripts as those of the server.
 */
(function () {
  'use strict';
  const memviz = (window.memviz = window.memviz || {});
  const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const start = JSON.parse(new TextDecoder().decode(decode(document.getElementById('start').textContent)));
  memviz.offline = start;
  const unpacked = new Map(); // name of a group -> promise of its bytes
  const parsed = new Map();

  const nodes = new Map([...document.querySelectorAll('script[data-group]')].map((node) => [node.dataset.group, node]));

  /** The bytes of a group; null where the file has no such group. */
  function bytes(name) {
    if (!unpacked.has(name)) {
      const node = nodes.get(name);
      unpacked.set(name, node ? unpack(decode(node.textContent)) : Promise.resolve(null));
      if (node) node.remove();
    }
    return unpacked.get(name);
  }

  async function unpack(packed) {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Response(stream).arrayBuffer();
  }

  /** A group of JSON. */
  function json(name) {
    if (!parsed.has(name)) parsed.set(name, bytes(name).then((raw) => (raw ? JSON.parse(new TextDecoder().decode(raw)) : null)));
    return parsed.get(name);
  }

  /** A group of exact values: {axes, shape, ids, picture, values}. */
  function exact(field) {
    const name = `exact|${field}`;
    if (!parsed.has(name)) {
      parsed.set(
        name,
        bytes(name).then((raw) => {
          if (!raw) return null;
          const end = new Uint8Array(raw).indexOf(10);
          const head = JSON.parse(new TextDecoder().decode(new Uint8Array(raw, 0, end)));
          const values = head.double ? new Float64Array(raw, end + 1) : new Float32Array(raw, end + 1);
          return { ...head, field, values };
        })
      );
    }
    return parsed.get(name);
  }

  class Refused extends Error {
    constructor(what, remedy) {
      super(what);
      this.body = { error: { what, expected: '', remedy: remedy || 'open the run with memviz serve' } };
    }
  }

  const absent = (what) => new Refused(`${what} is not in this file`);
  const HEADS = ['read_head', 'write_head', 'head'];

  /** Values of an exact field with some axes fixed by {axis: index}, as nested lists. */
  function cut(found, fixed) {
    const strides = found.shape.map((_, i) => found.shape.slice(i + 1).reduce((a, b) => a * b, 1));
    const walk = (i, at) => {
      if (i === found.axes.length) return found.values[at];
      const index = fixed[found.axes[i]];
      if (index !== undefined) return walk(i + 1, at + Math.min(index, found.shape[i] - 1) * strides[i]);
      return [...Array(found.shape[i]).keys()].map((k) => walk(i + 1, at + k * strides[i]));
    };
    return walk(0, 0);
  }

  /** The index along each head axis of every picture, the last axis fastest. */
  function headsOf(found) {
    let all = [{}];
    for (const axis of found.axes.filter((one) => HEADS.includes(one))) {
      const n = found.shape[found.axes.indexOf(axis)];
      all = all.flatMap((one) => [...Array(n).keys()].map((k) => ({ ...one, [axis]: k })));
    }
    return all;
  }

  const fieldsOf = async (memory) => {
    const about = (await json('record'))[''];
    const own = about.memories.filter((m) => m.name === memory || m.name === 'model');
    return own.flatMap((m) => m.fields);
  };

  async function cell(q) {
    const time = Number(q.get('time'));
    const slot = q.has('slot') ? Number(q.get('slot')) : null;
    const values = [];
    for (const one of await fieldsOf(q.get('memory'))) {
      if (!one.axes.includes('time') || time >= one.shape[one.axes.indexOf('time')]) continue;
      const rows = one.axes.filter((axis) => !HEADS.includes(axis) && axis !== 'time' && axis !== 'batch');
      const slots = rows.includes('slot');
      if ((slots && (slot === null || rows[0] !== 'slot')) || rows.length > (slots ? 2 : 1)) continue;
      const found = await exact(one.field);
      if (!found) continue;
      headsOf(found).forEach((head, i) => {
        const at = cut(found, { ...head, time, ...(slots ? { slot } : {}) });
        values.push({ id: found.ids[i], [Array.isArray(at) ? 'values' : 'value']: at });
      });
    }
    return { time, slot, values };
  }

  async function valuesOf(q) {
    const found = await exact(q.get('field'));
    if (!found) throw absent(`the exact field ${q.get('field')}`);
    const fixed = q.has('head') ? { ...headsOf(found)[Number(q.get('head'))] } : {};
    if (q.has('time')) fixed.time = Number(q.get('time'));
    return { field: found.field, axes: found.axes.filter((axis) => fixed[axis] === undefined), values: cut(found, fixed) };
  }

  /** One envelope of the asked times, made of the envelopes that hold all times. */
  async function matrices(q) {
    const first = Number(q.get('t0') || 0);
    const last = Number(q.get('t1') || first + 32);
    const tiles = [];
    let head = null;
    for (let k = 0; ; k++) {
      const raw = await bytes(`matrices|${q.get('field')}|${q.get('head') || 0}|${q.get('change') || 0}|${k}`);
      if (!raw) break;
      const frame = open(raw);
      head = frame.head;
      tiles.push(...frame.tiles.filter(({ meta }) => meta.time >= first && meta.time < last));
    }
    if (!head) throw absent(q.get('change') ? `the change of ${q.get('field')}` : q.get('field'));
    return close(head, tiles);
  }

  function open(raw) {
    const length = new DataView(raw).getUint32(4, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(raw, 8, length)));
    const tiles = head.tiles.map((meta) => ({ meta, codes: new Uint8Array(raw, 8 + length + meta.offset, meta.rows * meta.cols) }));
    return { head, tiles };
  }

  function close(head, tiles) {
    let offset = 0;
    const metas = tiles.map(({ meta, codes }) => {
      const moved = { ...meta, offset };
      offset += codes.length;
      return moved;
    });
    const text = new TextEncoder().encode(JSON.stringify({ ...head, tiles: metas }));
    const padded = text.length + ((8 - (text.length % 8)) % 8);
    const whole = new Uint8Array(8 + padded + offset).fill(32);
    whole.set([77, 86, 70, 49]);
    new DataView(whole.buffer).setUint32(4, padded, true);
    whole.set(text, 8);
    tiles.forEach(({ codes }, i) => whole.set(codes, 8 + padded + metas[i].offset));
    return whole.buffer;
  }

  /** An answer of a table by the values of some parameters. */
  async function listed(what, q, names) {
    const table = await json(`${what}|${q.get('memory')}`);
    const answer = table && table[names.map((name) => q.get(name) || '0').join(',')];
    if (!answer) throw absent({ events: 'the history of a single cell', lineage: 'this lineage' }[what] || `this answer (${what})`);
    return answer;
  }

  async function state(q) {
    const answer = await listed('state', q, ['time']);
    const memory = q.has('slot') && (await exact(`${q.get('memory')}/memory`));
    if (!memory) return answer;
    const rows = cut(memory, { time: Number(q.get('time')) });
    const chosen = rows[Number(q.get('slot'))];
    const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
    const length = Math.sqrt(dot(chosen, chosen));
    const cosine = rows.map((row) => {
      const scale = Math.sqrt(dot(row, row)) * length;
      return scale > 0 ? Math.max(-1, Math.min(1, dot(row, chosen) / scale)) : Number.isNaN(scale) ? NaN : 0;
    });
    return { ...answer, slot: Number(q.get('slot')), cosine };
  }

  async function destroyed(q) {
    const table = await json(`destroyed|${q.get('memory')}`);
    const answers = q.get('times').split(',').map((time) => table && table[`${time},${q.get('head') || 0}`]);
    if (answers.some((answer) => !answer)) throw absent('who destroyed these writes');
    return { ...answers[0], writes: answers.flatMap((answer) => answer.writes) };
  }

  const ABOUT = {
    '': async () => (await json('record'))[''],
    frame: async (q) => {
      const raw = await bytes(`frame|${q.get('memory')}|${q.get('scale') || 'linear'}`);
      if (!raw) throw absent(q.get('scale') === 'log' ? 'the log scale' : `the memory ${q.get('memory')}`);
      return raw;
    },
    matrices,
    cell,
    values: valuesOf,
    state,
    destroyed,
    lineage: (q) => (q.has('slot') ? Promise.reject(absent('the lineage of a slot')) : listed('lineage', q, ['time', 'head'])),
    readers: (q) => listed('readers', q, ['time']),
    slot: (q) => listed('slot', q, ['slot']),
    events: (q) => (q.has('word') ? Promise.reject(absent('the history of a single cell')) : listed('events', q, ['slot'])),
    arcs: (q) => listed('arcs', q, ['time', 'head', 'reader']),
    walk: (q) => listed('walk', q, ['time', 'slot', 'head']),
  };

  /** The answer to an address below /api/v1. */
  async function answer(path, q) {
    const run = await json('run');
    const parts = path.split('/').filter(Boolean);
    if (parts.length === 1) return { root: 'this file', truncated: false, runs: [run.run] };
    const [what, index, about] = parts.slice(2);
    if (what === undefined) return run.run;
    if (what === 'scalars') {
      const curve = run.scalars[q.get('name')];
      if (!curve) throw absent(`the scalar ${q.get('name')}`);
      return curve;
    }
    if (what === 'findings') return run.findings;
    if (what !== 'records') throw absent(`what ${what} tells`);
    if (index === undefined) {
      const from = Number(q.get('from') || 0);
      return { ...run.records, from, steps: run.records.steps.slice(from), walls: run.records.walls.slice(from) };
    }
    if (index !== '0') throw absent(`record ${Number(index) + 1}`);
    const tell = ABOUT[about || ''];
    if (!tell) throw absent(`what ${about} tells`);
    return tell(q);
  }

  window.fetch = async (address) => {
    const url = new URL(String(address), 'http://file.invalid');
    if (!url.pathname.startsWith('/api/v1/')) throw new TypeError('this file makes no requests');
    try {
      const found = await answer(url.pathname.slice(7), url.searchParams);
      return { ok: true, status: 200, json: async () => found, arrayBuffer: async () => found };
    } catch (error) {
      const body = error.body || { error: { what: error.message, expected: '', remedy: 'export the file again' } };
      return { ok: false, status: 404, json: async () => body, arrayBuffer: async () => new ArrayBuffer(0) };
    }
  };

  // In a frame without an address of its own (about:srcdoc) a relative address would mean the page around it.
  const replace = history.replaceState.bind(history);
  history.replaceState = (state, title, url) => {
    const hash = String(url).slice(String(url).indexOf('#'));
    replace(state, title, location.href.split('#')[0] + hash);
  };

  // Without a place of its own in the address the file opens where it was exported.
  const [, run] = /^#\/run\/([^?]*)/.exec(location.hash) || [];
  if (run !== encodeURIComponent(start.run)) history.replaceState(null, '', start.hash);
})();
