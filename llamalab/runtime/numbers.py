"""The numbers of a config, checked where it is made: a ValueError names the field and its value."""


def require_whole(config: object, *names: str, least: int = 1) -> None:
    """ValueError for a field that is not an int (a bool is not one), or is below `least`."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")


def require_positive(config: object, *names: str) -> None:
    """ValueError for a field that is not a finite number above 0."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise ValueError(f"{name}={value!r} must be a finite number above 0")


def require_between_0_and_1(config: object, *names: str) -> None:
    """ValueError for a field that is not a number from 0 to 1, both included."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{name}={value!r} must lie between 0 and 1")


def require_share(config: object, *names: str) -> None:
    """ValueError for a field that is not from 0 to below 1: a share that leaves something over."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int | float) or not 0 <= value < 1:
            raise ValueError(f"{name}={value!r} must be a share: at least 0, below 1")
