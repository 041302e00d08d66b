# SPDX-License-Identifier: Apache-2.0
"""Other libraries' ways from a float32 matrix in memory to fewer bits, where installed.

A new one is a line of `PEERS` in one of the modules here. Nothing of a library is imported before
its benchmark is prepared.
"""

from benchmarks.array_peers import (
    block_format_peers,
    numpy_peers,
    torch_library_peers,
    torch_peers,
)
from benchmarks.array_peers.peer import ArrayPeer

ALL: tuple[ArrayPeer, ...] = (
    *torch_peers.PEERS,
    *torch_library_peers.PEERS,
    *block_format_peers.PEERS,
    *numpy_peers.PEERS,
)


def installed() -> list[ArrayPeer]:
    """Return those whose modules are there."""
    return [peer for peer in ALL if not peer.lacks]


def missing() -> dict[str, str]:
    """Return the other packages and why."""
    return {peer.package: peer.lacks for peer in ALL if peer.lacks}
