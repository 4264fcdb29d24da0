"""Seconds as people read them."""


def format_duration(seconds: float) -> str:
    """`0:42`, `12:05`, `3:07:09`, `2d 03:07:09`: seconds rounded to whole ones."""
    total = round(seconds)
    minutes, second = divmod(total, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02d}:{minute:02d}:{second:02d}"
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"
