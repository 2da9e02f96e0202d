#!/usr/bin/env bash
# PostgreSQL, RabbitMQ and Redis for tests and for `make up`: those that answer on their standard ports are
# used; what is missing is installed and started privately, and stopped by `stop`.
#
#   servers.sh start          start what does not answer
#   servers.sh stop           stop what start started
#   servers.sh kill NAME      kill -9 a private server (fault tests); exit code 3 when it is not ours
#   servers.sh revive NAME    start it again
#   servers.sh with COMMAND   start, run the command, stop
#   servers.sh browser        install Chromium, its driver, and what virtual environments need, for the tests of apps
set -euo pipefail

run=${TITAN_RUN_DIR:-/tmp/titan-run-$(id -u)}
mkdir -p "$run"
chmod 711 "$run"

say() { printf '%s\n' "$*" >&2; }
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi; }
# After kill -9 a socket may still answer for a moment; who revives a server then must not take it for alive.
wait_gone() { # port
  for _ in $(seq 100); do answers "$1" || return 0; sleep 0.1; done
  say "port $1 still answers 10 s after its server was killed"; return 1
}
wait_for() { # port, seconds, name
  for _ in $(seq $(($2 * 10))); do answers "$1" && return 0; sleep 0.1; done
  say "$3 does not answer on port $1 after $2 s; its log is in $run"; return 1
}

need() { # program or file, package
  if [ -e "$1" ] || command -v "$1" >/dev/null 2>&1; then return 0; fi
  missing+=("$2")
}
install_missing() {
  missing=()
  for pair in "$@"; do need "${pair%%=*}" "${pair#*=}"; done
  [ ${#missing[@]} -eq 0 ] && return 0
  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then sudo="sudo"; else say "Missing packages: ${missing[*]}"; say "Install them: sudo apt-get install ${missing[*]}"; exit 1; fi
  fi
  say "Installing ${missing[*]}"
  # No system cluster: a private one is all that is needed.
  $sudo mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' | $sudo tee /etc/postgresql-common/createcluster.d/titan.conf >/dev/null
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
postgres_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1; }

# As on a machine of its own: a checkpoint every few GiB, not every few seconds of load. The benchmarks page names them.
POSTGRES="-c max_connections=400 -c shared_buffers=1GB -c max_wal_size=4GB -c wal_compression=lz4 -c default_toast_compression=lz4"
start_postgres() {
  answers 5432 && return 0
  install_missing "/usr/share/postgresql-common/pg_wrapper=postgresql-common"
  [ -n "$(postgres_bin)" ] && [ -x "$(postgres_bin)/initdb" ] || install_missing "/nonexistent=postgresql"
  local bin data=$run/postgres
  bin=$(postgres_bin)
  if [ ! -e "$data/PG_VERSION" ]; then
    rm -rf "$data"; mkdir -p "$data"
    printf postgres >"$run/postgres-password"
    [ "$(id -u)" = 0 ] && chown postgres "$data" "$run/postgres-password"
    as_postgres "$bin/initdb" -U postgres --auth=scram-sha-256 --pwfile="$run/postgres-password" -E UTF8 --locale=C.UTF-8 -D "$data" >"$run/initdb.log" 2>&1
  fi
  # A killed postmaster that nobody has buried yet looks alive to the next one; its children take a moment to leave.
  local pid; pid=$(head -1 "$data/postmaster.pid" 2>/dev/null || true)
  if [ -n "$pid" ] && ! grep -qsE '^State:\s+[^ZX]' "/proc/$pid/status"; then rm -f "$data/postmaster.pid"; fi
  for _ in $(seq 30); do
    (cd / && as_postgres "$bin/pg_ctl" start -s -w -D "$data" -l "$data/server.log" \
      -o "-p 5432 -c listen_addresses=127.0.0.1 -c unix_socket_directories='' $POSTGRES" >/dev/null 2>&1) && break
    sleep 0.2
  done
  touch "$run/postgres.ours"
  wait_for 5432 30 PostgreSQL
}
stop_postgres() { as_postgres "$(postgres_bin)/pg_ctl" stop -s -m "${1:-fast}" -D "$run/postgres" >/dev/null 2>&1 || true; }
kill_postgres() { kill -9 "$(head -1 "$run/postgres/postmaster.pid")"; wait_gone 5432; }

rabbit() {
  env HOME="$run" RABBITMQ_NODENAME=titan@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=5672 RABBITMQ_DIST_PORT=25699 \
    RABBITMQ_MNESIA_BASE="$run/rabbitmq" RABBITMQ_LOG_BASE="$run/rabbitmq-log" RABBITMQ_PID_FILE="$run/rabbitmq.pid" RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_ENABLED_PLUGINS_FILE="$run/rabbitmq-plugins" RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none" "$@"
}
start_rabbitmq() {
  answers 5672 && return 0
  install_missing "/usr/lib/rabbitmq/bin/rabbitmq-server=rabbitmq-server"
  answers 5672 && return 0
  echo '[].' >"$run/rabbitmq-plugins"
  # `-detached` answers before the node is up; wait for its port.
  # The shell that waits for it must not hold what our caller reads from.
  (cd "$run" && rabbit setsid /usr/lib/rabbitmq/bin/rabbitmq-server) >"$run/rabbitmq.out" 2>&1 </dev/null &
  touch "$run/rabbitmq.ours"
  wait_for 5672 60 RabbitMQ
}
stop_rabbitmq() { rabbit /usr/lib/rabbitmq/bin/rabbitmqctl -q stop >/dev/null 2>&1 || true; }
kill_rabbitmq() { kill -9 "$(cat "$run/rabbitmq.pid")"; wait_gone 5672; }

start_redis() {
  answers 6379 && return 0
  install_missing "redis-server=redis-server"
  answers 6379 && return 0
  redis-server --port 6379 --bind 127.0.0.1 --daemonize yes --dir "$run" --save '' --pidfile "$run/redis.pid" --logfile "$run/redis.log" >/dev/null
  touch "$run/redis.ours"
  wait_for 6379 10 Redis
}
stop_redis() { redis-cli -p 6379 shutdown nosave >/dev/null 2>&1 || true; }
kill_redis() { kill -9 "$(cat "$run/redis.pid")"; wait_gone 6379; }

# What the services themselves need on the host.
tools() { install_missing "git=git" "bwrap=bubblewrap" "/usr/bin/python3=python3" "/usr/lib/python3/dist-packages/coverage/__init__.py=python3-coverage" "/usr/lib/python3/dist-packages/pip/__init__.py=python3-pip" "/usr/bin/setpriv=util-linux"; }

start() {
  tools
  [ -n "${TITAN_TEST_DATABASE_URL:-}" ] || start_postgres
  [ -n "${TITAN_TEST_AMQP_URL:-}" ] || start_rabbitmq
  [ -n "${TITAN_TEST_REDIS_URL:-}" ] || start_redis
}
stop() {
  for name in postgres rabbitmq redis; do
    [ -e "$run/$name.ours" ] && "stop_$name" && rm -f "$run/$name.ours"
  done
  return 0
}

case "${1:-}" in
  browser)
    install_missing "chromium=chromium" "chromedriver=chromium-driver"
    # Tools of tests are installed beside each other, not into the system.
    python3 -c "import ensurepip" 2>/dev/null || install_missing "/nonexistent=python3-venv" ;;
  tools) tools; need_pg=$(postgres_bin); [ -n "$need_pg" ] && [ -x "$need_pg/initdb" ] || install_missing "/nonexistent=postgresql" ;;
  start) start ;;
  stop) stop ;;
  kill) [ -e "$run/$2.ours" ] || exit 3; "kill_$2" ;;
  revive) "start_$2" ;;
  with) shift; trap stop EXIT; start; "$@" ;;
  *) sed -n '2,11p' "$0" >&2; exit 2 ;;
esac
