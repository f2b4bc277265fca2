"""A model of how a quarter of a multiprocessor issues the instructions of a loop.

Every instruction waits for the stall count and the barriers that the assembler set. Assumed, not
measured: one instruction a clock; a multiply-add takes its pipe for 1 clock, other arithmetic for
2, a special function for 8; shared memory and L1 return 128 bytes a clock to all four quarters; and
the latencies below.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

SHARED, GLOBAL, SPECIAL, SHUFFLE, STORE = 30, 250, 22, 25, 20  # clocks of latency
QUEUE = 24  # clocks of work that may wait for the shared path
LINE = re.compile(
    r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([\w.]+)(.*?);\s*/\* 0x[0-9a-f]{16} \*/"
)
SECOND = re.compile(r"\s*/\* 0x([0-9a-f]{16}) \*/")


class Instruction(NamedTuple):
    """What one instruction takes, and the control bits of the assembler."""

    name: str
    pipe: str
    clocks: int  # of its pipe
    words: int  # of 128 bytes on the shared path
    latency: int
    stall: int
    sets: int  # barrier that its result sets; 7: none
    frees: int  # barrier that its operands set; 7: none
    waits: int  # bits of barriers


@dataclass
class Warp:
    """Where a warp stands."""

    starts: int
    place: int = 0
    ready: int = 0
    done: int = 0
    barriers: list[float] = field(default_factory=lambda: [0.0] * 6)


def cost(name: str) -> tuple[str, int, int, int]:
    """Return pipe, clocks, words on the shared path and latency of an operation."""
    words = 4 if "128" in name else 2 if "64" in name else 1
    for prefixes, found in {
        ("FFMA", "FMUL", "FADD", "IMAD", "HFMA2"): ("fma", 1, 0, 4),
        ("MUFU",): ("special", 8, 0, SPECIAL),
        ("LDS",): ("memory", 1, words, SHARED),
        ("LDG",): ("memory", 1, words, GLOBAL),
        ("STG", "STS", "LDL", "STL"): ("memory", 1, 1, STORE),
        ("SHFL",): ("memory", 1, 1, SHUFFLE),
        ("BRA", "NOP", "BAR"): ("other", 1, 0, 10),
    }.items():
        if name.startswith(prefixes):
            return found
    return "arithmetic", 2, 0, 5


def tile_loop(sass: str) -> list[Instruction]:
    """Return the innermost loop with the multiply-adds of a tile, from `nvdisasm -hex -c`."""
    labels: dict[str, int] = {}
    found: list[Instruction] = []
    loops: list[tuple[int, int]] = []
    first: re.Match | None = None
    for line in sass.splitlines():
        if label := re.match(r"^\.(L_\w+):", line.strip()):
            labels[label[1]] = len(found)
        elif one := LINE.match(line):
            first = one
        elif first and (two := SECOND.match(line)):
            bits = int(two[1], 16) >> 41
            target = re.search(r"\.(L_\w+)", first[2]) if first[1].startswith("BRA") else None
            if target and labels.get(target[1], math.inf) < len(found):
                loops.append((labels[target[1]], len(found)))
            control = bits & 15, bits >> 5 & 7, bits >> 8 & 7, bits >> 11 & 63
            found.append(Instruction(first[1], *cost(first[1]), *control))
            first = None
    tiles = (found[begin : end + 1] for begin, end in loops)
    return min((t for t in tiles if sum(i.name.startswith("FFMA") for i in t) >= 300), key=len)


def clocks_of_a_tile(loop: list[Instruction], warps: int, tiles: int = 4) -> float:
    """Return the clocks of a quarter for one tile, with so many warps on it."""
    running = [Warp(starts=37 * i) for i in range(warps)]
    pipes: dict[str, int] = {}
    path, clock, last = 0.0, 0, 0
    while any(w.done < tiles for w in running):
        chosen = None
        for i in (*range(last, warps), *range(last)):  # the last one, as long as it can
            warp = running[i]
            if warp.done >= tiles or max(warp.ready, warp.starts) > clock:
                continue
            one = loop[warp.place]
            waiting = any(one.waits >> b & 1 and warp.barriers[b] > clock for b in range(6))
            full = one.pipe == "memory" and path > clock + QUEUE
            if not (waiting or full or pipes.get(one.pipe, 0) > clock):
                chosen, last = warp, i
                break
        if chosen is not None:
            one = loop[chosen.place]
            pipes[one.pipe] = clock + one.clocks
            ends = clock + one.latency
            if one.words:  # the other quarters ask for as much
                path = max(path, clock) + 4 * one.words
                ends = path + one.latency
            for barrier, time in (
                (one.sets, ends),
                (one.frees, (path if one.words else clock) + 8),
            ):
                if barrier < 6:
                    chosen.barriers[barrier] = max(chosen.barriers[barrier], time)
            chosen.ready = clock + max(1, one.stall)
            chosen.place = (chosen.place + 1) % len(loop)
            chosen.done += chosen.place == 0
        clock += 1
    return clock / (tiles * warps)
