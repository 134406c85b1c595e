"""默克尔树 One hash over many leaves in order, as in RFC 6962, and the proof that a leaf is among them; pure.

Leaves and nodes are hashed apart, so that a leaf can never be passed off as a node.
"""

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256(b"").hexdigest()


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf with this content."""
    return hashlib.sha256(b"\x00" + content).digest()


def _above(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows leaf by leaf and keeps only the roots of its whole parts: one for each bit of their count."""

    def __init__(self) -> None:
        self.count = 0
        self._parts: list[bytes] = []  # from the largest to the smallest

    def add(self, leaf: bytes) -> None:
        """Put a leaf hash at the end."""
        part, same = leaf, self.count
        while same & 1:  # a part of this size stands there already: together they are one of twice the size
            part = _above(self._parts.pop(), part)
            same >>= 1
        self._parts.append(part)
        self.count += 1

    def root(self) -> str:
        """The Merkle tree hash (hex) of the leaves so far."""
        if not self._parts:
            return EMPTY
        *larger, root = self._parts
        for part in reversed(larger):
            root = _above(part, root)
        return root.hex()


def merkle_root(leaves: Iterable[bytes]) -> str:
    """The Merkle tree hash (hex) over leaf hashes in order."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def proofs(leaves: Sequence[bytes]) -> list[list[str]]:
    """For each leaf, the hashes (hex) beside its path to the root, from the bottom up (RFC 6962, 2.1.1)."""
    paths: list[list[str]] = [[] for _ in leaves]
    level = [(leaf, [index]) for index, leaf in enumerate(leaves)]
    while len(level) > 1:
        above = []
        for i in range(0, len(level) - 1, 2):
            (left, under_left), (right, under_right) = level[i], level[i + 1]
            for index in under_left:
                paths[index].append(right.hex())
            for index in under_right:
                paths[index].append(left.hex())
            above.append((_above(left, right), under_left + under_right))
        # An odd one moves up alone: for a left-full tree this is the tree of RFC 6962.
        level = above + level[len(level) & ~1 :]
    return paths


def root_by_proof(leaf: bytes, index: int, count: int, path: Sequence[str]) -> str:
    """The root (hex) a leaf leads to with its proof; another one than the tree's when either was altered.

    Raises ValueError for a proof of the wrong length.
    """
    beside = [bytes.fromhex(each) for each in path]
    last = count - 1
    while last:
        if index & 1 or index < last:  # else it moves up alone
            if not beside:
                raise ValueError("the proof is too short")
            other = beside.pop(0)
            leaf = _above(other, leaf) if index & 1 else _above(leaf, other)
        index, last = index >> 1, last >> 1
    if beside:
        raise ValueError("the proof is too long")
    return leaf.hex()
