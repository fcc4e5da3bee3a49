"""The table of what captures promise, for verify.py and its prove_*.py."""


def table():
    """(checks by the name of a capture, the decorator that puts one there)."""
    held = {}

    def checks(*names):
        def keep(f):
            for n in names:
                held[n] = f
            return f
        return keep
    return held, checks
