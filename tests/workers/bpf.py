"""Classic BPF as seccomp uses it, interpreted: what a filter would answer, also for processors we are not on."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Instruction = tuple[int, int, int, int]
_LOAD, _JUMP_EQ, _JUMP_GT, _JUMP_GE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06


def answer(program: Sequence[Instruction], machine: int, number: int, *args: int) -> int:
    """The filter's verdict on one system call. Raises IndexError when it runs off its end."""
    words = [arg & (2**64 - 1) for arg in (*args, *[0] * (6 - len(args)))]
    data = struct.pack("<iIQ6Q", number, machine, 0, *words)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == _RETURN:
            return value
        if code == _LOAD:
            accumulator = struct.unpack_from("<I", data, value)[0]
            continue
        holds = {
            _JUMP_EQ: accumulator == value,
            _JUMP_GT: accumulator > value,
            _JUMP_GE: accumulator >= value,
            _JUMP_SET: bool(accumulator & value),
        }[code]
        at += if_true if holds else if_false
