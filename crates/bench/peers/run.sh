#!/usr/bin/env bash
# Installs a peer into target/peers and measures it: the last line is JSON. titan-bench calls it.
#
#   run.sh install            once, before anything is measured
#   run.sh version NAME
#   run.sh NAME               celery, procrastinate, dbos, graphile_worker, pg_boss or bullmq
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
into=$here/../../../target/peers
mkdir -p "$into" && into=$(cd "$into" && pwd)
say() { printf '%s\n' "$*" >&2; }

install() {
  if ! cmp -s "$here/requirements.txt" "$into/requirements.txt"; then
    say "Installing the Python peers"
    python3 -m venv "$into/venv"
    "$into/venv/bin/pip" -q install -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$into/"
  fi
  if ! cmp -s "$here/package.json" "$into/package.json"; then
    say "Installing the Node peers"
    cp "$here/package.json" "$into/package.new.json"
    (cd "$into" && mv package.new.json package.json && npm install --no-audit --no-fund --loglevel=error >&2) || { rm -f "$into/package.json"; return 1; }
  fi
  cp "$here"/*.mjs "$here"/*.py "$into/"
}

version() {
  case $1 in
    celery | procrastinate | dbos) sed -nE "s/^$1(\[[^]]*\])?==//p" "$here/requirements.txt" ;;
    *) sed -nE "s/^ *\"${1//_/-}\": \"([^\"]*)\".*/\1/p" "$here/package.json" ;;
  esac
}

case ${1:-} in
  install) install ;;
  version) version "$2" ;;
  celery | procrastinate | dbos) cd "$into" && exec venv/bin/python "${1}_peer.py" ;;
  bullmq)
    cd "$into"
    export PEER_REDIS_PORT=6399
    data=$(mktemp -d)
    redis-server --port $PEER_REDIS_PORT --bind 127.0.0.1 --dir "$data" --appendonly yes --appendfsync always --save '' --maxmemory-policy noeviction >/dev/null &
    redis=$!
    trap 'kill $redis; wait $redis 2>/dev/null || true; rm -rf "$data"' EXIT
    until redis-cli -p $PEER_REDIS_PORT ping >/dev/null 2>&1; do sleep 0.1; done
    node_modules/.bin/node bullmq.mjs
    ;;
  graphile_worker | pg_boss) cd "$into" && exec node_modules/.bin/node "$1.mjs" ;;
  *) sed -n '2,6p' "$0"; exit 2 ;;
esac
