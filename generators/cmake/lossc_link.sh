#!/bin/sh
# The steps of putting a library of losses together that CMake has no words for; LosscAddLibrary.cmake calls them. One
# archive member per kernel and per loss, so that a program which names one loss links only that.
# The environment has AR, NM, LD and OBJCOPY.
set -eu

# runtime RUNTIME.a CORE.o ENUMERATION.o: the runtime as two objects in which only lossc_* is global. Two, because what
# names lossc_registry pulls in every loss.
runtime() {
  work=$2.members
  rm -rf "$work"
  mkdir -p "$work/rest"
  (cd "$work" && "$AR" x "$1" &&
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

# add ARCHIVE KERNELS.a: the members of KERNELS.a into ARCHIVE, by way of a copy beside it, for ar's scripts have no
# quotes and so want plain names.
add() {
  cd "$(dirname "$2")"
  work=$(basename "$1").work
  cp "$1" "$work"
  printf 'OPEN %s\nADDLIB %s\nSAVE\nEND\n' "$work" "$(basename "$2")" | "$AR" -M
  mv "$work" "$1"
}

"$@"
