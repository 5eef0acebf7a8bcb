#!/usr/bin/env python3
"""Golden vectors: values and gradients of losses from independent float64 implementations. README.md says how.

  make_goldens.py            writes <loss>.json beside this file, and lowp/<loss>.json (see lowp.py)
  make_goldens.py --check    recomputes and compares with what is there, writes nothing
  make_goldens.py [--check] LOSS...
"""

import importlib
import json
import pathlib
import sys

import lowp
from common import LOSSES, close, document, write

HERE = pathlib.Path(__file__).parent
for module in sorted(HERE.glob("goldens_*.py")):  # each enters its losses in LOSSES
    importlib.import_module(module.stem)


# ---- command ---------------------------------------------------------------------------------------------------------


def main():
    args = sys.argv[1:]
    check = "--check" in args
    names = [a for a in args if a != "--check"] or list(LOSSES)
    for name in names:
        doc, path = document(LOSSES[name]), HERE / f"{name}.json"
        low = HERE / "lowp" / path.name
        if check:
            there = json.loads(path.read_text())
            assert close(there["cases"], doc["cases"]), f"{path} differs"
            # Errors of 16-bit arithmetic depend on the processor that PyTorch runs on: only that they are there.
            assert list(json.loads(low.read_text())["cases"]) == [c["name"] for c in doc["cases"]], f"{low} lacks cases"
        else:
            write(doc, path)
            lowp.write(lowp.document(LOSSES[name]), low)
        covered = sum("transcription of the formula" not in c["origin"].split(";")[0] for c in doc["cases"])
        print(f"{name}: {len(doc['cases'])} cases, {covered} from a library, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
