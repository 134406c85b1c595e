"""The tree of RFC 6962, grown leaf by leaf, and proofs that lead to its root."""

import hashlib

import pytest

from metering.merkle import EMPTY, Tree, leaf_hash, merkle_root, proofs, root_by_proof


def by_the_book(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + by_the_book(leaves[:half]) + by_the_book(leaves[half:])).digest()


def test_at_every_leaf_the_growing_tree_has_the_root_of_all_so_far() -> None:
    tree = Tree()
    leaves: list[bytes] = []
    assert tree.root() == EMPTY
    for number in range(71):
        assert tree.root() == merkle_root(leaves) == by_the_book(leaves).hex()
        assert tree.count == number
        assert len(tree._parts) == number.bit_count()
        leaves.append(leaf_hash(str(number).encode()))
        tree.add(leaves[-1])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 31, 32, 33, 70])
def test_every_leaf_leads_to_the_root(count: int) -> None:
    leaves = [leaf_hash(str(number).encode()) for number in range(count)]
    for index, path in enumerate(proofs(leaves)):
        assert root_by_proof(leaves[index], index, count, path) == merkle_root(leaves)
        with pytest.raises(ValueError, match="long"):
            root_by_proof(leaves[index], index, count, [*path, "00"])
        if path:
            with pytest.raises(ValueError, match="short"):
                root_by_proof(leaves[index], index, count, path[:-1])
