"""The K rows of a memory most like a key: exactly, or by faiss once there are too many rows to look at each.

Rows that were never written are all alike, so the first K of them stand for all: of a memory of a million slots only
those written so far, and K more, are looked at. When these become many, an inverted file (IVF) of faiss, where it is
installed, looks into the cells nearest the key only, and may miss some of the K (Rae et al. 2016, section 3.5).
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from memviz.errors import MemvizError

Search = Literal["auto", "exact", "faiss"]

APPROXIMATE_FROM = 8192
"""Written rows from which on `auto` asks faiss: below, looking at each is about as fast."""

RECALL_EVERY = 1000
"""Searches between two checks of an approximate one against the exact one."""


def has_faiss() -> bool:
    """Whether faiss is installed."""
    return importlib.util.find_spec("faiss") is not None


def similarity(rows: Tensor, keys: Tensor, delta: float) -> Tensor:
    """Cosine of keys [batch, head, word] with rows [batch, head, n, word] or [batch, n, word]: [batch, head, n]."""
    norms = torch.linalg.vector_norm(rows, dim=-1)
    lengths = torch.linalg.vector_norm(keys, dim=-1, keepdim=True)
    if rows.dim() == 3:
        return torch.bmm(keys, rows.mT) / torch.addcmul(norms.new_tensor(delta), lengths, norms.unsqueeze(1))
    dots = torch.matmul(rows, keys.unsqueeze(-1)).squeeze(-1)
    return dots / torch.addcmul(norms.new_tensor(delta), lengths, norms)


class Finder:
    """Nearest neighbours of keys among the rows of one array.

    Args:
        values: [batch · (slot + 1), word], changed in place by others, who tell of it through `changed`.
        batch: number of items.
        count: K.
        search: "exact", "faiss", or "auto": faiss for many rows, where it is installed.
        index_checks: cells of the inverted file that are looked into, faiss's nprobe.
        index_lists: cells of the inverted file; about 4 √N by default.
        delta: added to the product of norms in the cosine.

    Raises:
        MemvizError: "faiss" is asked for and not installed.

    Attributes:
        recall: [batch, head], the share of the K nearest rows that the last checked approximate search found; None
            before the first, and as long as search is exact.
    """

    def __init__(
        self,
        values: Tensor,
        batch: int,
        count: int,
        search: Search = "auto",
        index_checks: int = 32,
        index_lists: int | None = None,
        delta: float = 1e-6,
    ) -> None:
        if search == "faiss" and not has_faiss():
            raise MemvizError("search='faiss' needs faiss: pip install 'memviz[sparse]', or search='auto'")
        self._values, self._batch, self._count, self._delta = values, batch, count, delta
        self.slots = len(values) // batch - 1
        self._lists, self._checks = index_lists, index_checks
        self._from = {"auto": APPROXIMATE_FROM if has_faiss() else math.inf, "exact": math.inf, "faiss": 0}[search]
        self._files: list[_InvertedFile] | None = None
        self._searches = 0
        self.recall: Tensor | None = None
        self._left_out: Tensor | None = None

    def changed(self, rows: Tensor) -> None:
        """Note that rows, [n], hold something else now."""
        if self._files is not None:
            flat = rows.cpu().numpy()
            item, slot = np.divmod(flat, self.slots + 1)
            for index, file in enumerate(self._files):
                file.changed(slot[item == index])

    @torch.no_grad()
    def nearest(self, keys: Tensor, strengths: Tensor, reached: int) -> tuple[Tensor, Tensor]:
        """The slots most like each key.

        Args:
            keys: [batch, head, word].
            strengths: [batch, head], of the softmax that follows.
            reached: slots from this one on were never written.

        Returns:
            Slots [batch, head, K], each once; the share of a softmax over all slots that falls on others,
            [batch, head], of an approximate search as it was when last checked.
        """
        limit = min(reached + self._count, self.slots)
        if reached < max(self._from, self._count):
            self.recall = self._left_out = None
            return self._exactly(keys, strengths, limit)
        found = self._by_index(keys, reached, limit)
        if found is None:
            return self._exactly(keys, strengths, limit)
        if self._left_out is None or self._searches % RECALL_EVERY == 0:
            self._left_out = self._check(found, keys, strengths, limit)
        self._searches += 1
        return found, self._left_out

    def _rows(self) -> Tensor:
        return self._values.view(self._batch, self.slots + 1, -1)

    def _exactly(self, keys: Tensor, strengths: Tensor, limit: int) -> tuple[Tensor, Tensor]:
        scores = similarity(self._rows()[:, :limit], keys, self._delta)
        best, found = torch.topk(scores, self._count, dim=2)
        # The rows beyond the limit are like its last one, which was never written, or there are none.
        scaled, beta = scores - best[..., :1], strengths.unsqueeze(2)
        inside = torch.exp(beta * (best - best[..., :1])).sum(dim=2)
        others = (self.slots - limit) * torch.exp(strengths * scaled[..., -1])
        return found, 1 - inside / (torch.exp(beta * scaled).sum(dim=2) + others)

    def _by_index(self, keys: Tensor, reached: int, limit: int) -> Tensor | None:
        """Slots by the inverted file, compared in full precision with the first slots that were never written."""
        if self._files is None or self._files[0].outgrown(reached):
            known = self._rows()[:, :reached].detach().cpu().numpy()
            self._files = [_InvertedFile(item, self._lists, self._checks) for item in known]
        rows = self._rows()
        found = []
        for item, file in enumerate(self._files):
            file.refresh(rows[item], reached)
            found.append(file.nearest(keys[item], self._count))
        slots = torch.stack(found).to(keys.device)
        fresh = torch.arange(reached, limit, device=keys.device).expand(*slots.shape[:2], -1)
        slots = torch.cat((slots, fresh), dim=2)
        held = torch.gather(
            rows.unsqueeze(1).expand(-1, slots.shape[1], -1, -1),
            2,
            slots.clamp_min(0).unsqueeze(3).expand(-1, -1, -1, rows.shape[2]),
        )
        scores = similarity(held, keys, self._delta).masked_fill(slots < 0, -math.inf)
        best, order = torch.topk(scores, self._count, dim=2)
        # The cells looked into may hold fewer than K rows.
        return None if bool(best[..., -1].isneginf().any()) else slots.gather(2, order)

    def _check(self, found: Tensor, keys: Tensor, strengths: Tensor, limit: int) -> Tensor:
        """Note the recall of an approximate search; what the exact one leaves out."""
        exact, left_out = self._exactly(keys, strengths, limit)
        hits = (found.unsqueeze(3) == exact.unsqueeze(2)).any(dim=2)
        self.recall = hits.to(keys.dtype).mean(dim=2)
        return left_out


class _InvertedFile:
    """The rows of one item in cells around centroids; a row moves to another cell when it changes."""

    def __init__(self, rows: np.ndarray, lists: int | None, checks: int) -> None:
        faiss: Any = importlib.import_module("faiss")
        count, width = rows.shape
        lists = max(1, min(lists or round(4 * math.sqrt(count)), count // 39))
        self._quantizer = faiss.IndexFlatIP(width)
        index = faiss.IndexIVFFlat(self._quantizer, width, lists, faiss.METRIC_INNER_PRODUCT)
        # Centroids need not be exact, and a memory of a million rows should be ready in seconds.
        index.cp.max_points_per_centroid, index.cp.niter = 64, 5
        unit = _unit(rows)
        index.train(unit)
        index.add(unit)
        index.set_direct_map_type(faiss.DirectMap.Array)
        index.nprobe = min(checks, lists)
        # A search of a few keys is over before a second thread is awake.
        faiss.omp_set_num_threads(torch.get_num_threads())
        self._index: Any = index
        self._trained = int(count)
        self._stale: list[np.ndarray] = []

    def outgrown(self, reached: int) -> bool:
        """Whether there are so many rows that other centroids are called for."""
        return reached > 4 * self._trained

    def changed(self, slots: np.ndarray) -> None:
        self._stale.append(slots)

    def refresh(self, rows: Tensor, reached: int) -> None:
        """Take in what changed since the last search, and rows that were written for the first time."""
        held = self._index.ntotal
        if self._stale:
            slots = np.unique(np.concatenate(self._stale))
            slots = slots[slots < held]
            self._stale = []
            if slots.size:
                self._index.update_vectors(slots.astype(np.int64), _unit(rows[torch.from_numpy(slots)].cpu().numpy()))
        if reached > held:
            self._index.add(_unit(rows[held:reached].cpu().numpy()))

    def nearest(self, keys: Tensor, count: int) -> Tensor:
        """Slots [head, count], -1 where there are fewer."""
        _, slots = self._index.search(_unit(keys.cpu().numpy()), count)
        return torch.from_numpy(slots)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1 in single precision, zero where they are zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)
