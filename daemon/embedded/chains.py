"""Makes an endless row of chunks, each computed from the state the one before it left behind.

Belongs here: computing forward in order, forgetting and recomputing. What a chunk holds belongs
in process.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

CHUNKS_KEPT_MAX = 96

State = TypeVar("State")
Chunk = TypeVar("Chunk")


class Chain(Generic[State, Chunk]):
    """Chunks by index, equal whatever was asked before.

    `step(index, state)` gives the chunk and the state after it. Every state is kept (a few
    numbers), the newest chunks only; a forgotten chunk is computed again from its state. With
    `skip`, chunks on the way to the one that is asked for are passed over.
    """

    def __init__(
        self,
        first: State,
        step: Callable[[int, State], tuple[Chunk, State]],
        skip: Callable[[int, State], State] | None = None,
    ) -> None:
        self._states = [first]
        self._step = step
        self._skip = skip
        self._chunks: OrderedDict[int, Chunk] = OrderedDict()

    def chunk(self, index: int) -> Chunk:
        assert index >= 0, "chunks go forward from the first"
        while len(self._states) <= index + 1:
            position = len(self._states) - 1
            if self._skip is not None and position < index:
                self._states.append(self._skip(position, self._states[position]))
                continue
            made, state = self._step(position, self._states[position])
            self._states.append(state)
            self._keep(position, made)
        found = self._chunks.get(index)
        if found is None:
            found, _ = self._step(index, self._states[index])
            self._keep(index, found)
        self._chunks.move_to_end(index)
        return found

    def _keep(self, index: int, chunk: Chunk) -> None:
        self._chunks[index] = chunk
        if len(self._chunks) > CHUNKS_KEPT_MAX:
            self._chunks.popitem(last=False)
