#!/bin/sh
# tool.sh PREFIX CLONE: the installed tree needs neither the clone that it came from nor the place that it lies in. Nothing
# in it that CMake, pkg-config or the loader reads names the clone, and the tool works from a copy of it elsewhere.
set -eu
prefix=$1 clone=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if grep -rEIl "(^|[^A-Za-z0-9_./}-])$clone/" "$prefix"; then
  echo "these files name the clone" >&2
  exit 1
fi
cp -rl "$prefix" "$work/lossc" 2>/dev/null || cp -r "$prefix" "$work/lossc"
tool=$work/lossc/bin/lossc
export LOSSC_CACHE="$work/cache"
ldd "$tool" | grep -F "libHalide.so => $work/lossc/"
"$tool" list | grep tilted_absolute && exit 1
"$tool" check "$here/tilted_absolute.cpp"
"$tool" check "$here/cubed_error.cpp"
"$tool" compile "$here/tilted_absolute.cpp" -o "$work/own" --dtype f32 --isa sse41
cc -std=c11 -o "$work/use" "$here/use.c" -I"$work/own/include" "$work/own/libtilted_absolute.a" -lstdc++ -lm -lpthread
"$work/use" tilted_absolute
