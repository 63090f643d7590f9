#!/bin/sh
# Stands in for chef-client, which needs a Chef workstation: notes when a run began and ended, and takes a moment.
# usage: chef-client.sh LOG [SECONDS [EXIT]]
printf 'begin %s\n' "$(date +%s.%N)" >> "$1"
sleep "${2:-0.2}"
printf 'end %s\n' "$(date +%s.%N)" >> "$1"
echo 'Infra Phase complete'
exit "${3:-0}"
