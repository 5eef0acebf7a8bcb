#!/usr/bin/env bash
# demo.sh LOSSC EMBED_DIGITS DIGITS.CSV FOLDER CACHE - what ./dev demo runs, each command shown before it runs: digits
# embedded and classified with losses of liblossc.a; then a loss of one's own compiled, checked and trained with, in
# FOLDER. CACHE keeps compiled kernels.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lossc=$1 embed_digits=$2 digits=$3 folder=$4
export LOSSC_CACHE=$5
export PATH=$(dirname "$lossc"):$(dirname "$embed_digits"):$PATH

show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
cp "$digits" digits.csv
cp "$here"/{poly1_cross_entropy.cpp,train_own_loss.c,augment.[ch],digits.[ch],network.[ch],score.[ch],train.[ch],util.[ch]} .

show embed_digits digits.csv
show cat poly1_cross_entropy.cpp
show lossc compile poly1_cross_entropy.cpp -o poly1 --dtype f32
show lossc check poly1_cross_entropy.cpp
show "${CC:-cc}" -std=c11 -O3 -Ipoly1/include -o train_own_loss train_own_loss.c augment.c digits.c network.c score.c train.c \
  util.c poly1/libpoly1_cross_entropy.a -lstdc++ -lm -lpthread
show ./train_own_loss digits.csv
