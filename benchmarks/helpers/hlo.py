"""Launches, bytes and operations of a loop in a program that XLA has scheduled for a GPU."""

import math
import re
from dataclasses import dataclass

BYTES = {
    "pred": 1,
    "u8": 1,
    "s8": 1,
    "bf16": 2,
    "f32": 4,
    "s32": 4,
    "u32": 4,
    "f64": 8,
    "u64": 8,
    "s64": 8,
}
TYPE = re.compile(rf"\b({'|'.join(BYTES)})\[([\d,]*)\]")
COMPUTATION = re.compile(r"^(?:ENTRY )?%([\w.\-]+) \(.*\) -> .* \{$")
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%([\w.\-]+) = (\(.*?\)|[^ (]+) ([\w\-]+)\((.*)$")
NAME = re.compile(r"%([\w.\-]+)")
# What is a separate launch outside of a fusion.
LAUNCHED = {"fusion", "copy", "custom-call", "dynamic-update-slice", "broadcast", "iota", "reduce"}
LAUNCHED |= {"concatenate", "pad", "gather", "scatter", "sort", "transpose", "dynamic-slice"}
ARITHMETIC = {
    "add", "subtract", "multiply", "divide", "select", "compare", "maximum", "minimum", "and", "or",
    "xor", "not", "negate", "abs", "sqrt", "rsqrt", "exponential", "log", "tanh", "shift-left",
    "shift-right-logical", "round-nearest-even", "clamp", "sign", "is-finite", "power", "logistic",
    "exponential-minus-one", "log-plus-one", "floor", "erf",
}  # fmt: skip


@dataclass
class Instruction:
    """One line of a computation."""

    name: str
    type: str
    kind: str
    rest: str

    @property
    def operands(self) -> list[str]:
        """Names of the operands, each once."""
        return list(dict.fromkeys(NAME.findall(self.rest.split("), ")[0])))

    def called(self, key: str) -> str:
        """Name of a computation that it calls."""
        found = re.search(rf"{key}=%([\w.\-]+)", self.rest)
        return found[1] if found else ""


@dataclass
class Totals:
    """The launches of a step: (bytes read and written, operations, times a step)."""

    launches: list[tuple[float, float, float]]

    @property
    def launches_per_step(self) -> float:
        """Number of launches."""
        return sum(times for *_, times in self.launches)

    @property
    def bytes_per_step(self) -> float:
        """Bytes of device memory, each array once for each launch that has it."""
        return sum(moved * times for moved, _, times in self.launches)


def totals_of(text: str, steps: int, at_once: int) -> Totals:
    """Return the totals of the training loop of a program.

    Parameters
    ----------
    text
        The scheduled program.
    steps, at_once
        Steps of a call, and of one turn of its loop, by whose number of turns it is found.
    """
    program = parsed(text)
    turns = f'"n":"{steps // at_once}"'
    loops = [
        one.called("body")
        for lines in program.values()
        for one in lines.values()
        if one.kind == "while" and turns in one.rest
    ]
    found = max((launches(program, body, 1.0) for body in loops), key=len)
    return Totals([(moved, work, times / at_once) for moved, work, times in found])


def parsed(text: str) -> dict[str, dict[str, Instruction]]:
    """Return computation -> name -> instruction."""
    program: dict[str, dict[str, Instruction]] = {}
    lines: dict[str, Instruction] | None = None
    for line in text.splitlines():
        if head := COMPUTATION.match(line):
            lines = program[head[1]] = {}
        elif line.startswith("}"):
            lines = None
        elif lines is not None and (found := INSTRUCTION.match(line)):
            lines[found[1]] = Instruction(*found.groups())
    return program


def launches(
    program: dict[str, dict[str, Instruction]], body: str, times: float
) -> list[tuple[float, float, float]]:
    """Return (bytes, operations, times) of the launches of a computation and the loops in it."""
    lines, found = program[body], []
    for one in lines.values():
        if one.kind == "while":
            count = re.search(r'known_trip_count":\{"n":"(\d+)"', one.rest)
            inner = times * (int(count[1]) if count else 1)
            found += launches(program, one.called("body"), inner)
        elif one.kind in ("call", "conditional"):
            for name in filter(None, (one.called("to_apply"),)):
                found += launches(program, name, times)
        elif one.kind in LAUNCHED:
            inner = one.called("calls")
            operands = [lines[name] for name in one.operands if name in lines]
            read = sum(size(operand.type) for operand in operands)
            if inner:
                read -= sum(not_read(program[inner], operand) for operand in operands)
            written = size(one.type)
            update = updated(program[inner]) if inner else 0
            if update:  # in place: only the slice is written
                read, written = read - written, update
            work = operations(program, inner) if inner else 0.0
            found.append((float(max(read, 0) + written), work, times))
    return found


def not_read(lines: dict[str, Instruction], operand: Instruction) -> int:
    """Return the bytes of an operand that a fusion leaves out, because it uses slices alone."""
    own = [one for one in lines.values() if one.kind == "parameter" and one.type == operand.type]
    if len(own) != 1:  # not known which it is
        return 0
    whole, slices, waiting = size(operand.type), 0, [own[0].name]
    while waiting:
        name = waiting.pop()
        for one in lines.values():
            if name not in one.operands:
                continue
            if one.kind == "bitcast":
                waiting.append(one.name)
            elif one.kind == "slice":
                slices += size(one.type)
            else:
                return 0
    return max(0, whole - slices)


def updated(lines: dict[str, Instruction]) -> int:
    """Return the bytes of the slice that a fusion updates in place, or 0."""
    for one in lines.values():
        if one.kind == "dynamic-update-slice" and one.operands[1] in lines:
            return size(lines[one.operands[1]].type)
    return 0


def operations(program: dict[str, dict[str, Instruction]], name: str) -> float:
    """Return the arithmetic operations of a fused computation."""
    lines, total = program[name], 0.0
    for one in lines.values():
        if one.kind in ARITHMETIC:
            total += elements(one.type)
        elif one.kind == "reduce" and one.operands[0] in lines:
            total += elements(lines[one.operands[0]].type)
        elif one.kind == "dot" and one.operands[0] in lines:
            shape = TYPE.findall(lines[one.operands[0]].type)[0][1].split(",")
            over = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", one.rest)
            depth = math.prod(int(shape[int(d)]) for d in over[1].split(",")) if over else 1
            total += 2 * elements(one.type) * depth
        elif one.kind in ("fusion", "call", "map"):
            total += operations(program, one.called("calls") or one.called("to_apply"))
    return total


def size(types: str) -> int:
    """Return the bytes of all arrays of a type."""
    return sum(BYTES[kind] * numbers(shape) for kind, shape in TYPE.findall(types))


def elements(types: str) -> int:
    """Return the numbers of the first array of a type."""
    found = TYPE.findall(types)
    return numbers(found[0][1]) if found else 0


def numbers(shape: str) -> int:
    """Return the size of a shape such as "4,5"."""
    return math.prod(int(n) for n in shape.split(",") if n)
