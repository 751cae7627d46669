# What the scripts here share. A script is called with a server's addresses, SCRIPT KAFKA POSTGRES, or starts its own
# with `serve`; $MILLSTREAM is the program.

set -euo pipefail
KAFKA=${1:-}
POSTGRES=${2:-}
SERVER=
WORK=$(mktemp -d)
trap 'stop_server; kill $(jobs -p) 2>/dev/null || true; rm -rf "$WORK"' EXIT

# Start a server on $WORK/data, on ports that are free; sets KAFKA and POSTGRES. More arguments go to it.
serve() { start_server --data "$WORK/data" --kafka 127.0.0.1:0 "$@"; }

# Start a server with these arguments and ports that are free.
start_server() {
  "$MILLSTREAM" --log-format json start --pg 127.0.0.1:0 --http 127.0.0.1:0 "$@" 2>"$WORK/log" &
  SERVER=$!
  for _ in $(seq 300); do
    local ready
    ready=$(grep '"message":"ready"' "$WORK/log" || true)
    if [ -n "$ready" ]; then
      KAFKA=$(sed -E 's/.*"kafka":"([^"]+)".*/\1/' <<<"$ready")
      POSTGRES=$(sed -E 's/.*"pg":"([^"]+)".*/\1/' <<<"$ready")
      return
    fi
    kill -0 "$SERVER" 2>/dev/null || break
    sleep 0.1
  done
  cat "$WORK/log" >&2
  exit 1
}

# Stop it, if there is one: with a signal's name, by that.
stop_server() {
  [ -n "$SERVER" ] || return 0
  kill -s "${1:-TERM}" "$SERVER" 2>/dev/null || true
  wait "$SERVER" 2>/dev/null || true
  SERVER=
}

sql() { "$MILLSTREAM" sql --server "$POSTGRES" -c "$1"; }
topics() { "$MILLSTREAM" topics --server "$POSTGRES" "$@"; }

# A main class of Apache Kafka's; $KAFKA_CLASSPATH has its jars.
kafka_class() { timeout 120 java -Xmx512m -cp "$KAFKA_CLASSPATH" "$@"; }

# What a step should give, against what it gave.
same() { # NAME WANTED GOT
  if [ "$2" != "$3" ]; then
    printf '%s: %s\n--- wanted\n%s\n--- got\n%s\n' "$0" "$1" "$2" "$3" >&2
    exit 1
  fi
}

# Text that a step's output should have in it.
has() { # NAME PART TEXT
  case "$3" in
    *"$2"*) ;;
    *)
      printf '%s: %s\n--- wanted in it\n%s\n--- got\n%s\n' "$0" "$1" "$2" "$3" >&2
      exit 1
      ;;
  esac
}

# Try again until it gives what is wanted, for things that take their time: NAME WANTED COMMAND…
becomes() {
  local name=$1 wanted=$2 got=
  shift 2
  for _ in $(seq 150); do
    got=$("$@" 2>&1 || true)
    [ "$got" = "$wanted" ] && return
    sleep 0.2
  done
  same "$name" "$wanted" "$got"
}
