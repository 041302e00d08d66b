# SPDX-License-Identifier: Apache-2.0
"""Other libraries' ways from a float32 matrix in memory to fewer bits, where installed.

A new one is a row of `PEERS` in one of the modules here. Nothing of a library is imported before
its benchmark is prepared.
"""

from benchmarks.array_peers import other_peers, torch_peers
from benchmarks.array_peers.peer import Peer, peer_job

__all__ = ["PEERS", "Peer", "peer_job"]

PEERS: tuple[Peer, ...] = (*torch_peers.PEERS, *other_peers.PEERS)
