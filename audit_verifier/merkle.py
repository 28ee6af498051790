"""RFC 6962's Merkle tree over an organization's events: event seq is entry seq - 1, its `leaf` is the entry's leaf hash.

Nodes of 256 entries (blocks) are kept with the checkpoints, so neither a checkpoint nor a proof reads every event.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

BLOCK_HEIGHT = 8
BLOCK = 1 << BLOCK_HEIGHT
EMPTY = hashlib.sha256(b"").digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class GrowingTree:
    """A tree that is appended to: the roots of its perfect subtrees from the left, the largest first.

    `blocks` collects the roots of the blocks that `append` completed.
    """

    def __init__(self, blocks: Iterable[bytes] = (), leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self.blocks: list[bytes] = []
        self._nodes: list[bytes] = []
        for block in blocks:
            self._push(block, BLOCK_HEIGHT)
        for leaf in leaves:
            self._push(leaf, 0)
        self.blocks.clear()

    @classmethod
    def of_nodes(cls, size: int, nodes: Sequence[bytes]) -> "GrowingTree":
        """The tree of `size` entries whose perfect subtrees have these roots. Raises ValueError for another number."""
        if len(nodes) != size.bit_count():
            raise ValueError("not the perfect subtrees of that size")
        tree = cls()
        tree.size, tree._nodes = size, list(nodes)
        return tree

    @property
    def nodes(self) -> tuple[bytes, ...]:
        return tuple(self._nodes)

    def append(self, leaf: bytes) -> None:
        self._push(leaf, 0)

    def _push(self, node: bytes, height: int) -> None:
        """Append a perfect subtree; what is there already must be a multiple of its size."""
        self.size += 1 << height
        rest = self.size >> height
        while True:
            if height == BLOCK_HEIGHT:
                self.blocks.append(node)
            if rest & 1:
                break
            node = node_hash(self._nodes.pop(), node)
            rest >>= 1
            height += 1
        self._nodes.append(node)

    def root(self) -> bytes:
        if not self._nodes:
            return EMPTY
        node = self._nodes[-1]
        for left in self._nodes[-2::-1]:
            node = node_hash(left, node)
        return node


class KnownTree:
    """A tree of `size` entries of which all blocks and some leaves are at hand."""

    def __init__(self, size: int, blocks: Sequence[bytes], leaves: Mapping[int, bytes]) -> None:
        self.size = size
        self._blocks = blocks
        self._leaves = leaves

    def path(self, index: int) -> list[bytes]:
        """RFC 6962's PATH(index, D[size]), the sibling of the leaf first. Raises KeyError for a leaf not at hand."""
        found: list[bytes] = []
        start, end = 0, self.size
        while end - start > 1:
            middle = start + _left_size(end - start)
            if index < middle:
                found.append(self._root(middle, end))
                end = middle
            else:
                found.append(self._root(start, middle))
                start = middle
        return found[::-1]

    def _root(self, start: int, end: int) -> bytes:
        count = end - start
        if count == 1:
            return self._leaves[start]
        if count == BLOCK and start % BLOCK == 0 and start // BLOCK < len(self._blocks):
            return self._blocks[start // BLOCK]
        middle = start + _left_size(count)
        return node_hash(self._root(start, middle), self._root(middle, end))


def needed_leaves(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges [start, end) of entries whose leaves `KnownTree.path(index)` reads when all whole blocks are known."""
    own = index // BLOCK * BLOCK
    last = size // BLOCK * BLOCK
    ranges = {(own, min(own + BLOCK, size)), (last, size)}
    return sorted((start, end) for start, end in ranges if start < end)


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to. Raises ValueError for a path that is too short or too long."""
    node, rest, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if rest & 1 or rest == last:
            node = node_hash(sibling, node)
            while rest and not rest & 1:
                rest >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        rest >>= 1
        last >>= 1
    if last:
        raise ValueError("the path is too short")
    return node


def _left_size(count: int) -> int:
    """The largest power of two below `count`, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)
