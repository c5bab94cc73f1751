"""Sizes, counts and durations as people write them, in English and Simplified Chinese. Total functions: never raise."""

from __future__ import annotations

_SIZE_STEPS = ((1024**4, "TB"), (1024**3, "GB"), (1024**2, "MB"), (1024, "KB"))


def format_size(size_bytes: float) -> str:
    """ "1.4 GB", "820 KB", "12 B"; the same in both languages. Steps of 1024, at most three digits that matter."""
    for step, unit in _SIZE_STEPS:
        if size_bytes >= step:
            value = size_bytes / step
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{size_bytes:.0f} B"


def format_count(count: float) -> str:
    """ "1,204"; fractions keep two digits: "0.75"."""
    return (
        f"{count:,}"
        if float(count).is_integer() and isinstance(count, int)
        else f"{count:,.2f}".rstrip("0").rstrip(".")
    )


def format_duration(seconds: float, language: str) -> str:
    """ "30 seconds", "2 minutes"; in Chinese "30 秒", "2 分钟". Whole units; under a second is one second."""
    count, unit = (round(seconds / 60), "minute") if seconds >= 120 else (max(1, round(seconds)), "second")
    if language == "zh_CN":
        return f"{count} {'分钟' if unit == 'minute' else '秒'}"
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
