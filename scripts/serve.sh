#!/bin/sh
# Runs the service. Node and libc would keep over a hundred megabytes for what lives a moment, even while it is idle.
set -eu
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
exec node --max-semi-space-size=8 "$(dirname "$0")/../src/main.ts"
