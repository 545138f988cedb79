"""Runs the instructions of a pickle that build plain data, and only those.

Python's own reader hands real functions and classes to the file, which may then change them. This one knows
the instructions of protocols 2 to 5 that published files use. What is neither text, number nor container is
built by `Parts`, from functions of ours that the file can call and cannot reach into. Every byte of the file
buys at most one small object, nothing is built by recursion, a call costs what it is given, and only texts
become keys, so no file can make it slow or large.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from .causes import Damaged
from .stream import Stream

FREE_STEPS = 100_000  # beyond them a right file has at least two bytes for each instruction
# What all calls may be given, in bytes or items: protocol 2 gives each byte twice.
FREE_COST, COST_TIMES = 1_000_000, 4
LONGEST_KEY = 300
PROTOCOLS = (2, 3, 4, 5)


class Foreign:
    """Stands for everything whose class is not let in; calling, filling or setting it does nothing."""

    __slots__ = ()


FOREIGN = Foreign()


@dataclass(frozen=True, slots=True)
class Known:
    """A function that a file may call."""

    call: Callable[..., Any]


class Unfinished:
    """An object whose content comes in a later instruction. `places`: where the memo holds it."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        self.places: list[int] = []

    def finished(self, state: Any) -> Any:
        """What takes its place."""
        raise NotImplementedError


class Parts(Protocol):
    """What a kind of file is made of, beside plain data."""

    def find(self, module: str, name: str) -> Any:
        """What stands for a name: Known, FOREIGN or some constant; Damaged if it is refused."""

    def stored(self, reference: Any) -> Any:
        """What lies outside of the pickle; Damaged if nothing does."""


class PickleMachine:
    """One pickle, read from `stream`; at most `most_steps` instructions, fewer for a small file."""

    def __init__(self, stream: Stream, parts: Parts, most_steps: int):
        self.stream, self.parts = stream, parts
        self.steps = min(most_steps, FREE_STEPS + stream.left // 2)
        self.purse = FREE_COST + COST_TIMES * stream.left
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # what lay below each open mark
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The object that the pickle describes."""
        take = self.stream.take
        for _ in range(self.steps):
            code = take(1)
            if code == b".":
                return self.stack.pop()
            instruction = INSTRUCTIONS.get(code)
            if instruction is None:
                raise Damaged(f"it holds an instruction that no right file needs: number {code[0]}")
            instruction(self)
        raise Damaged("it holds more instructions than a right file of its size")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """Everything since the last mark, which is taken away."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def last(self, count: int) -> tuple[Any, ...]:
        """The topmost values, taken away."""
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        if len(items) != count:
            raise Damaged("its instructions do not belong together")
        return items

    def remember(self, place: int) -> None:
        value = self.memo[place] = self.stack[-1]
        if isinstance(value, Unfinished):
            value.places.append(place)

    def recall(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def find(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Damaged("it asks for something without a name")
        self.stack.append(self.parts.find(module, name))

    def pay(self, arguments: Any) -> None:
        """Damaged if one long text or list is given to calls again and again."""
        if isinstance(arguments, tuple):
            self.purse -= sum(
                len(part) for part in arguments if isinstance(part, (bytes, str, list, tuple, dict))
            )
        if self.purse < 0:
            raise Damaged("it describes far more than a file of its size can hold")

    def call(self) -> None:
        function, arguments = self.last(2)
        self.pay(arguments)
        if function is FOREIGN:
            self.stack.append(FOREIGN)
        elif isinstance(function, Known) and isinstance(arguments, tuple):
            self.stack.append(function.call(*arguments))
        else:
            raise Damaged("it calls what is no function")

    def build(self) -> None:
        """Give the topmost object its content. A dict's own attributes are of no use here."""
        (state,) = self.last(1)
        self.pay(state)
        target = self.stack[-1]
        if isinstance(target, Unfinished):
            self.stack[-1] = target.finished(state)
            for place in target.places:
                self.memo[place] = self.stack[-1]
        elif target is not FOREIGN and not isinstance(target, dict):
            raise Damaged("it changes what may not be changed")

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif target is not FOREIGN:
            raise Damaged("it appends to what is no list")

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            add_named(target, zip(items[::2], items[1::2], strict=True))
        elif target is not FOREIGN:
            raise Damaged("it names entries of what has none")

    def check_protocol(self) -> None:
        if self.stream.number(1) not in PROTOCOLS:
            raise Damaged("it is a pickle of an edition that no published file has")


def add_named(target: dict[str, Any], pairs: Any) -> None:
    """Add the entries whose key is a text: nothing looks for others, and hashing them can be made slow."""
    for key, value in pairs:
        if isinstance(key, str):
            if len(key) > LONGEST_KEY:
                raise Damaged(f"a name in it has {len(key)} letters")
            target[key] = value


INSTRUCTIONS: dict[bytes, Callable[[PickleMachine], Any]] = {
    b"\x80": PickleMachine.check_protocol,  # PROTO
    b"\x95": lambda m: m.stream.take(8),  # FRAME: only a hint for reading ahead
    b"(": PickleMachine.mark,
    b"0": lambda m: m.last(1),  # POP
    b"1": PickleMachine.since_mark,  # POP_MARK
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.stream.number(4, signed=True)),  # BININT
    b"K": lambda m: m.push(m.stream.number(1)),  # BININT1
    b"M": lambda m: m.push(m.stream.number(2)),  # BININT2
    b"\x8a": lambda m: m.push(m.stream.number(m.stream.number(1), signed=True)),  # LONG1
    b"G": lambda m: m.push(struct.unpack(">d", m.stream.take(8))[0]),  # BINFLOAT
    b"X": lambda m: m.push(m.stream.text(m.stream.number(4))),  # BINUNICODE
    b"\x8c": lambda m: m.push(m.stream.text(m.stream.number(1))),  # SHORT_BINUNICODE
    b"\x8d": lambda m: m.push(m.stream.text(m.stream.number(8))),  # BINUNICODE8
    b"T": lambda m: m.push(m.stream.text(m.stream.number(4))),  # BINSTRING, of Python 2
    b"U": lambda m: m.push(m.stream.text(m.stream.number(1))),  # SHORT_BINSTRING, of Python 2
    b"B": lambda m: m.push(m.stream.take(m.stream.number(4))),  # BINBYTES
    b"C": lambda m: m.push(m.stream.take(m.stream.number(1))),  # SHORT_BINBYTES
    b"\x8e": lambda m: m.push(m.stream.take(m.stream.number(8))),  # BINBYTES8
    b"\x96": lambda m: m.push(m.stream.take(m.stream.number(8))),  # BYTEARRAY8
    b"]": lambda m: m.push([]),  # EMPTY_LIST
    b"}": lambda m: m.push({}),  # EMPTY_DICT
    b")": lambda m: m.push(()),  # EMPTY_TUPLE
    b"\x8f": lambda m: m.push(FOREIGN),  # EMPTY_SET: nothing here reads sets
    b"\x85": lambda m: m.push(m.last(1)),  # TUPLE1
    b"\x86": lambda m: m.push(m.last(2)),  # TUPLE2
    b"\x87": lambda m: m.push(m.last(3)),  # TUPLE3
    b"t": lambda m: m.push(tuple(m.since_mark())),  # TUPLE
    b"\x91": lambda m: (m.since_mark(), m.push(FOREIGN)),  # FROZENSET
    b"a": lambda m: m.append(list(m.last(1))),  # APPEND
    b"e": lambda m: m.append(m.since_mark()),  # APPENDS
    b"\x90": lambda m: m.append(m.since_mark()),  # ADDITEMS, to a set
    b"s": lambda m: m.set_items(list(m.last(2))),  # SETITEM
    b"u": lambda m: m.set_items(m.since_mark()),  # SETITEMS
    b"q": lambda m: m.remember(m.stream.number(1)),  # BINPUT
    b"r": lambda m: m.remember(m.stream.number(4)),  # LONG_BINPUT
    b"\x94": lambda m: m.remember(len(m.memo)),  # MEMOIZE
    b"h": lambda m: m.recall(m.stream.number(1)),  # BINGET
    b"j": lambda m: m.recall(m.stream.number(4)),  # LONG_BINGET
    b"c": lambda m: m.find(m.stream.line(), m.stream.line()),  # GLOBAL
    b"\x93": lambda m: m.find(*m.last(2)),  # STACK_GLOBAL
    b"R": PickleMachine.call,  # REDUCE
    b"\x81": PickleMachine.call,  # NEWOBJ
    b"\x92": lambda m: (m.last(1), m.call()),  # NEWOBJ_EX: keywords are for foreign classes only
    b"b": PickleMachine.build,
    b"Q": lambda m: m.push(m.parts.stored(*m.last(1))),  # BINPERSID
}
