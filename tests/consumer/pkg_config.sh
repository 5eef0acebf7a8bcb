#!/bin/sh
# pkg_config.sh PREFIX: a C program built with cc and pkg-config alone, against the shared and the static library.
set -eu
prefix=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

cc -std=c11 -o "$work/shared" "$here/use.c" $(pkg-config --cflags --libs lossc) "-Wl,-rpath,$prefix/lib"
"$work/shared" huber

cc -std=c11 -o "$work/static" "$here/use.c" $(pkg-config --cflags lossc) "$prefix/lib/liblossc.a" \
  $(pkg-config --static --libs-only-l lossc | sed 's/-llossc//')
"$work/static" huber
