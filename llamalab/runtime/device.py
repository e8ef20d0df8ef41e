"""The device and the dtype that this machine computes with, and why.

CUDA in bf16 first, then Apple's GPU, then the CPU. On a CPU it is the matrix units that decide:
with AMX or AVX512-BF16, bf16 products are several times faster than float32; without them, slower.
Nothing is guessed: what cannot be read is called unknown, and float32 is right everywhere.
"""

import platform
from dataclasses import dataclass
from pathlib import Path

import torch

BF16_FLAGS = ("amx_bf16", "avx512_bf16")


@dataclass(frozen=True)
class DeviceChoice:
    """A torch device and the dtype to compute in, by name, and why."""

    device: str
    dtype: str
    why: str


def choose_device() -> DeviceChoice:
    """The fastest thing here that gives right answers: CUDA, Apple's GPU, then the CPU."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if torch.cuda.get_device_capability() >= (8, 0):  # older cards only emulate bf16
            return DeviceChoice("cuda", "bfloat16", name)
        return DeviceChoice("cuda", "float32", f"{name} has no bf16 arithmetic of its own")
    if torch.backends.mps.is_available():
        return DeviceChoice("mps", "float32", "Apple's GPU")
    units = bf16_units()
    if units is None:
        return DeviceChoice("cpu", "float32", "whether this CPU has bf16 matrix units is unknown")
    if units:
        return DeviceChoice("cpu", "bfloat16", f"CPU with bf16 matrix units ({', '.join(units)})")
    return DeviceChoice("cpu", "float32", "CPU without bf16 matrix units, where bf16 is slower")


def bf16_units() -> tuple[str, ...] | None:
    """The CPU's matrix units for bf16, by their usual names; empty if none; None if unknown."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ()  # AMX and AVX-512 are parts of x86
    if hasattr(torch.cpu, "get_capabilities"):  # newer torch knows on every system
        known = torch.cpu.get_capabilities()
        if any(flag in known for flag in BF16_FLAGS):
            return tuple(flag for flag in BF16_FLAGS if known.get(flag))
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return bf16_flags(text)


def bf16_flags(cpuinfo: str) -> tuple[str, ...] | None:
    """The same from the text of Linux's /proc/cpuinfo; None if it lists no flags."""
    for line in cpuinfo.splitlines():
        if line.startswith("flags"):
            flags = line.partition(":")[2].split()
            return tuple(flag for flag in BF16_FLAGS if flag in flags)
    return None
