#!/usr/bin/env bash
# `titan up` in the background: up.sh start|stop HOME
set -euo pipefail
home=$2
pid_file=$home/up.pid
alive() { [ -e "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }
case $1 in
  start)
    mkdir -p "$home"
    alive && { echo "It runs already (process $(cat "$pid_file")); stop it with: make down"; exit 0; }
    setsid target/debug/titan --home "$home" up >"$home/up.log" 2>&1 </dev/null &
    echo $! >"$pid_file"
    until grep -q 'TitanForge is ready' "$home/up.log"; do
      alive || { cat "$home/up.log" >&2; exit 1; }
      sleep 0.2
    done
    cat "$home/up.log"
    echo "Use it      export TITAN_HOME=$home PATH=$PWD/target/debug:\$PATH; titan doctor"
    ;;
  stop)
    alive || { echo "It does not run."; exit 0; }
    kill -TERM "$(cat "$pid_file")"
    while alive; do sleep 0.2; done
    rm -f "$pid_file"
    apps=$(pgrep -fc "bwrap .*$home/apps/releases" || true)
    [ "$apps" = 0 ] || echo "Apps outlive the services: $apps process(es) go on (next time: titan stop <deployment>; now: pkill -f $home/apps/releases)"
    ;;
esac
