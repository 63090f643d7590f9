#!/bin/sh
# Runs the service. Node and libc would keep over a hundred megabytes for what lives a moment, even while it is idle; and
# from the second start on, the TypeScript compiler stays out of memory.
set -eu
root="$(dirname "$0")/.."
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/.parts/compiled}"
exec node --max-semi-space-size=8 "$root/src/main.ts"
