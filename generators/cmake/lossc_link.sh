#!/bin/sh
# The steps of putting a library of losses together that CMake has no words for; LosscAddLibrary.cmake calls them. Kept
# apart: one archive member per kernel, table and loss, so that a program which names one loss links only that.
# The environment has AR, NM, LD and OBJCOPY.
set -eu

# kernels RSP OUT.a: the objects listed in RSP (relative to its folder), what they want of Halide's runtime renamed to
# what ours has (runtime/halide_stubs.cpp), so that a Halide in the same program never answers.
kernels() {
  cd "$(dirname "$1")"
  rm -f "$2"
  "$AR" qcS "$2" "@$1"
  "$NM" -u "$2" 2>/dev/null | sed -n 's/^ *U \(halide_.*\)$/\1 lossc_internal_\1/p' | sort -u > renames.txt
  "$OBJCOPY" --redefine-syms=renames.txt "$2"
  rm renames.txt
}

# runtime RUNTIME.a CORE.o ENUMERATION.o: the runtime as two objects in which only lossc_* is global. Apart, because what
# names lossc_registry pulls in every loss.
runtime() {
  work=$2.members
  rm -rf "$work"
  mkdir "$work"
  (cd "$work" && "$AR" x "$1" && mkdir rest &&
    for member in *.o; do
      "$NM" -u "$member" | grep -q ' lossc_registry$' || mv "$member" rest
    done)
  "$LD" -r --force-group-allocation -o "$2" "$work"/rest/*.o
  "$LD" -r --force-group-allocation -o "$3" "$work"/*.o
  for object in "$2" "$3"; do
    "$OBJCOPY" --wildcard --keep-global-symbol='lossc_*' "$object"
  done
  rm -r "$work"
}

# library LIB.a KERNELS.a EXPORTS: adds the kernels to LIB.a and lists what a shared form of it exports.
library() {
  cd "$(dirname "$2")"  # ar's scripts have no quotes: plain names only
  work=$(basename "$1").work
  cp "$1" "$work"
  printf 'OPEN %s\nADDLIB %s\nSAVE\nEND\n' "$work" "$(basename "$2")" | "$AR" -M
  mv "$work" "$1"
  { echo 'LOSSC_1 {' 'global:'
    "$NM" -g --defined-only "$1" 2>/dev/null |
      sed -n '/ lossc_internal_/d; / lossc_registry$/d; s/^[0-9a-f]* [A-Z] \(lossc_.*\)$/\1;/p' | sort -u
    echo 'local: *;' '};'; } > "$3"
}

"$@"
