"""Compare data/ with data/SHA256SUMS; one line and exit status 1 for each file that differs."""

import hashlib
import pathlib
import sys

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"


def listed_sums() -> dict[str, str]:
    """File name -> SHA-256, as data/SHA256SUMS lists them."""
    lines = (DATA / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def problems(names: list[str] | None = None) -> list[str]:
    """One line for each of these files that is missing or differs from its sum; all by default."""
    found = []
    sums = listed_sums()
    for name in sums if names is None else names:
        path = DATA / name
        if not path.is_file():
            found.append(f"data/{name} is missing. Restore it: git checkout -- data/{name}")
        elif name not in sums:
            found.append(f"data/{name} has no line in data/SHA256SUMS")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sums[name]:
            found.append(
                f"data/{name} differs from data/SHA256SUMS. Restore it: git checkout -- data/{name}"
            )
    return found


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or 0)
