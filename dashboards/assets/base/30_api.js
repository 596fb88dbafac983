/* The data routes (docs/api.md): one function per route, errors in words, and bounded caches of what never changes. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const BASE = '/api/v1';

  /** What went wrong, as the routes say it. `status` is 0 when the server did not answer. */
  class ApiError extends Error {
    constructor(status, what, expected, remedy, at) {
      super([what, expected && `expected ${expected}`, remedy].filter(Boolean).join('; '));
      this.status = status;
      this.what = what;
      this.remedy = remedy || '';
      this.at = at ?? null; // where in a query, in characters
    }
  }

  async function get(path, binary) {
    let response;
    try {
      response = await fetch(BASE + path, { cache: 'no-store' });
      if (response.ok) return binary ? await response.arrayBuffer() : await response.json();
    } catch (error) {
      throw new ApiError(0, 'the server does not answer', '', 'trying again');
    }
    let said = {};
    try {
      said = (await response.json()).error || {};
    } catch (error) {
      said = {};
    }
    throw new ApiError(response.status, said.what || `the server answered ${response.status}`, said.expected, said.remedy, said.at);
  }

  /** A cache bounded by bytes; the least recently used entry leaves first. Values are loaded once, even when asked often. */
  class Cache {
    constructor(limit) {
      this.limit = limit;
      this.size = 0;
      this.entries = new Map();
      this.pending = new Map();
    }

    peek(key) {
      const entry = this.entries.get(key);
      if (!entry) return null;
      this.entries.delete(key);
      this.entries.set(key, entry);
      return entry.value;
    }

    put(key, value, bytes) {
      this.drop(key);
      this.entries.set(key, { value, bytes });
      this.size += bytes;
      for (const old of this.entries.keys()) {
        if (this.size <= this.limit || old === key) break;
        this.drop(old);
      }
    }

    drop(key) {
      const entry = this.entries.get(key);
      if (entry) {
        this.size -= entry.bytes;
        this.entries.delete(key);
      }
    }

    clear() {
      this.entries.clear();
      this.pending.clear();
      this.size = 0;
    }

    load(key, make, weigh) {
      const ready = this.peek(key);
      if (ready) return Promise.resolve(ready);
      const waiting = this.pending.get(key);
      if (waiting) return waiting;
      const promise = make().then(
        (value) => {
          // A cache that was cleared meanwhile belongs to another run by now.
          if (this.pending.get(key) === promise) {
            this.pending.delete(key);
            this.put(key, value, weigh ? weigh(value) : 1);
          }
          return value;
        },
        (error) => {
          if (this.pending.get(key) === promise) this.pending.delete(key);
          throw error;
        }
      );
      this.pending.set(key, promise);
      return promise;
    }
  }

  const frames = new Cache(192 * 2 ** 20);
  const matrices = new Cache(96 * 2 ** 20);
  const records = new Cache(256);
  const cells = new Cache(4096);
  const lives = new Cache(64);
  const walks = new Cache(512);
  const values = new Cache(16 * 2 ** 20);
  const told = new Cache(16 * 2 ** 20); // answers about a record, in characters

  const enc = encodeURIComponent;
  const runPath = (run) => `/runs/${enc(run)}`;
  const recordPath = (q) => `${runPath(q.run)}/records/${q.rec}`;
  const query = (parts) => {
    const given = Object.entries(parts).filter(([, v]) => v !== null && v !== undefined);
    return '?' + given.map(([k, v]) => `${k}=${enc(v)}`).join('&');
  };

  const run = (id) => get(runPath(id));
  const poll = (id, from) => get(`${runPath(id)}/records${query({ from })}`);
  const findings = (id) => get(`${runPath(id)}/findings`);
  /** Rows of the table of stories, of the records from index `from` on. */
  const stories = (id, from) => get(`${runPath(id)}/stories${query({ from })}`);
  /** What `memviz ablate` has found of a record; q: run, rec, item, memory. */
  const ablation = (q) => get(`${runPath(q.run)}/ablation${query({ record: q.rec, memory: q.memory, item: q.item })}`);
  /** Where a query holds, from place number `from` on. */
  const asked = (id, q, from) => get(`${runPath(id)}/query${query({ q, from })}`);
  const scalars = (id, name, px) => get(`${runPath(id)}/scalars${query({ name, px })}`);

  const record = (q) => records.load(`${q.run}|${q.rec}`, () => get(recordPath(q)));
  const recordNow = (q) => records.peek(`${q.run}|${q.rec}`);

  const frameKey = (q) => [q.run, q.rec, q.item, q.memory, q.px, q.py, q.scale].join('|');
  /** All tiles of one record. q: run, rec, item, memory, px, py, scale. */
  const frame = (q) =>
    frames.load(
      frameKey(q),
      async () => {
        const scale = q.scale === 'log' ? 'log' : null;
        const path = `${recordPath(q)}/frame${query({ item: q.item, memory: q.memory, px: q.px, py: q.py, scale })}`;
        return S.codes.decode(await get(path, true));
      },
      (f) => f.bytes * 6 // with the painted copies of its tiles
    );
  const frameNow = (q) => frames.peek(frameKey(q));

  const matrixKey = (q) => [q.run, q.rec, q.item, q.field, q.head, q.t0, q.t1, q.px, q.change || 0].join('|');
  /** The tiles of one matrix field for the times [t0, t1). q: run, rec, item, memory, field, head, t0, t1, px. */
  const matrix = (q) =>
    matrices.load(
      matrixKey(q),
      async () => {
        const { item, field, head, t0, t1, px, change } = q;
        const path = `${recordPath(q)}/matrices${query({ item, field, head, t0, t1, px, change })}`;
        return S.codes.decode(await get(path, true));
      },
      (f) => f.bytes
    );
  const matrixNow = (q) => matrices.peek(matrixKey(q));

  const cellKey = (q) => [q.run, q.rec, q.item, q.memory, q.t, q.slot].join('|');
  /** Exact values at one time and slot: a Map from tile id to a number or to a list of numbers. */
  const cell = (q) =>
    cells.load(cellKey(q), async () => {
      const parts = { item: q.item, memory: q.memory, time: q.t, slot: q.slot };
      const answer = await get(`${recordPath(q)}/cell${query(parts)}`);
      return new Map(
        answer.values.map((v) => [v.id, 'values' in v && v.values !== null ? v.values.map(S.words.num) : S.words.num(v.value)])
      );
    });
  const cellNow = (q) => cells.peek(cellKey(q));

  const lifeKey = (q) => [q.run, q.rec, q.item, q.memory, q.slot].join('|');
  /** The life of one slot over the whole sequence. */
  const life = (q) =>
    lives.load(lifeKey(q), () => get(`${recordPath(q)}/slot${query({ item: q.item, memory: q.memory, slot: q.slot })}`));
  const lifeNow = (q) => lives.peek(lifeKey(q));

  const walkKey = (q) => [q.run, q.rec, q.item, q.memory, q.t, q.slot, q.head].join('|');
  const walk = (q) =>
    walks.load(walkKey(q), () => {
      const parts = { item: q.item, memory: q.memory, time: q.t, slot: q.slot, head: q.head, hops: 6 };
      return get(`${recordPath(q)}/walk${query(parts)}`);
    });
  const walkNow = (q) => walks.peek(walkKey(q));

  /**
   * Any other answer about a record (docs/api.md), by the last part of its address: S.api.tell(q, 'lineage', {time: 3}).
   * q: run, rec, item, memory.
   */
  const toldKey = (q, what, parts) => [q.run, q.rec, q.item, q.memory, what, JSON.stringify(parts)].join('|');
  const tell = (q, what, parts) =>
    told.load(
      toldKey(q, what, parts),
      () => get(`${recordPath(q)}/${what}${query({ item: q.item, memory: q.memory, ...parts })}`),
      (v) => JSON.stringify(v).length
    );
  const tellNow = (q, what, parts) => told.peek(toldKey(q, what, parts));

  const runs = () => get('/runs');

  const comparisons = new Cache(48 * 2 ** 20);
  const comparisonKey = (q) => JSON.stringify(Object.entries(q).filter(([, v]) => v !== null).sort());
  /**
   * Two records side by side (docs/api.md, "compare"): the header of an envelope whose `state` says how far it is. Only
   * what is done is kept.
   */
  const comparison = async (q) => {
    const found = S.codes.decode(await get(`/compare${query(q)}`, true));
    if (found.state === 'done') comparisons.put(comparisonKey(q), found, found.bytes * 3);
    return found;
  };
  const comparisonNow = (q) => comparisons.peek(comparisonKey(q));
  const film = (id, parts) => get(`${runPath(id)}/film${query(parts)}`);
  const stills = async (id, parts) => S.codes.decode(await get(`${runPath(id)}/stills${query(parts)}`, true));

  /** Exact values of one field; nested lists. */
  const fieldValues = (q) =>
    values.load(
      [q.run, q.rec, q.item, q.field, q.head, q.time].join('|'),
      () => get(`${recordPath(q)}/values${query({ field: q.field, item: q.item, head: q.head, time: q.time })}`),
      (v) => JSON.stringify(v).length
    );

  /** Forget everything: another run, or the same name written anew. */
  function forget() {
    for (const cache of [frames, matrices, records, cells, lives, walks, values, told, comparisons]) cache.clear();
  }

  S.api = { ApiError, Cache, run, poll, scalars, findings, ablation, query: asked, tell, tellNow, record, recordNow, frame, frameNow, matrix, matrixNow };
  Object.assign(S.api, { runs, comparison, comparisonNow, film, stills });
  Object.assign(S.api, { cell, cellNow, life, lifeNow, walk, walkNow, fieldValues, stories, forget });
})();
