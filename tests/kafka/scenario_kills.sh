#!/usr/bin/env bash
# Three processes of a service on a Kafka cluster of three brokers: processes are killed, added and stopped at random, and
# so are brokers, while records come. What comes out is what the records say, once, and the others go on within seconds of
# a kill. Kills go on for $MILLSTREAM_CLUSTER_SECONDS. $KAFKA_CLASSPATH has Kafka's jars; kcat writes and reads.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/brokers.sh"
SECONDS_MAX=${MILLSTREAM_CLUSTER_SECONDS:-60}
BATCH=100
# Longest that it may take until all is answered for again, ms: after a process was killed, and after a broker was. A
# broker is missed by the others after 3 s; what it coordinated moves before groups notice, too. It is held against that where
# somebody measures, on a machine that does nothing else, and says for how long.
PROCESS_MS_MAX=10000
BROKER_MS_MAX=60000
# From then on nothing is expected to come any more.
PATIENCE_MS=180000
RANDOM=${MILLSTREAM_SEED:-$$}
echo "MILLSTREAM_SEED=${MILLSTREAM_SEED:-$$}"

SQL="CREATE STREAM IF NOT EXISTS orders (id VARCHAR KEY, item VARCHAR, amount INT)
  WITH (kafka_topic = 'orders', value_format = 'JSON', partitions = 4);
SET 'auto.offset.reset' = 'earliest';
CREATE TABLE IF NOT EXISTS per_item AS SELECT item, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY item EMIT CHANGES;
CREATE STREAM IF NOT EXISTS large WITH (kafka_topic = 'large') AS SELECT id, item, amount FROM orders WHERE amount >= 90 EMIT CHANGES;
CREATE TABLE IF NOT EXISTS large_per_item AS SELECT item, COUNT(*) AS n FROM large GROUP BY item EMIT CHANGES;"

# Of each process its id, and where PostgreSQL clients connect.
PIDS=() ADDRESSES=() STARTED=0
printf '[kafka_cluster]\nstandby_replicas = 1\n' >"$WORK/config.toml"

# Start a process; some keep copies of their state on disk.
add() {
  STARTED=$((STARTED + 1))
  local data=()
  [ $((RANDOM % 2)) = 0 ] || data=(--data "$WORK/data$STARTED")
  : >"$WORK/log"
  start_server --config "$WORK/config.toml" --kafka-bootstrap "$CLUSTER" --service-id kills "${data[@]}"
  mv "$WORK/log" "$WORK/log$STARTED"
  PIDS+=("$SERVER") ADDRESSES+=("$POSTGRES")
  SERVER=
}

# End one: INDEX SIGNAL
end() {
  kill -s "$2" "${PIDS[$1]}"
  wait "${PIDS[$1]}" 2>/dev/null || true
  unset "PIDS[$1]" "ADDRESSES[$1]"
  PIDS=("${PIDS[@]}") ADDRESSES=("${ADDRESSES[@]}")
}

WRITTEN=0
write() {
  local n
  for n in $(seq $((WRITTEN + 1)) $((WRITTEN + BATCH))); do
    echo "o$n:{\"ITEM\":\"i$((n * 7 % 13))\",\"AMOUNT\":$((n * 31 % 100))}"
  done | kcat -b "$CLUSTER" -P -t orders -K: -X enable.idempotence=true -X message.timeout.ms=120000 2>>"$WORK/kcat"
  WRITTEN=$((WRITTEN + BATCH))
}

# Rows of per_item and large_per_item as they should be.
wanted() {
  seq "$WRITTEN" | awk '{ item = "i" $1 * 7 % 13; amount = $1 * 31 % 100; n[item]++; total[item] += amount
      if (amount >= 90) large[item]++ }
    END { for (item in n) print "all", item, n[item], total[item]; for (item in large) print "large", item, large[item] }' | sort
}

# As they are: ADDRESS
answers() {
  {
    "$MILLSTREAM" sql --server "$1" -c "SELECT 'all', item, n, total FROM per_item;" &&
      "$MILLSTREAM" sql --server "$1" -c "SELECT 'large', item, n FROM large_per_item;"
  } 2>&1 | sed -n 's/ *| */ /g; s/^ *\(all\|large\) /\1 /p' | sed 's/ *$//' | sort
}

now_ms() { date +%s%3N; }
LONGEST_PROCESS=0 LONGEST_BROKER=0

# Wait until a process answers for all that was written, since a time: MS LONGEST WHAT
answered() {
  local began=$1 longest=$2 what=$3 address took expected
  expected=$(wanted)
  address=${ADDRESSES[RANDOM % ${#ADDRESSES[@]}]}
  until [ "$(answers "$address")" = "$expected" ]; do
    if [ $(($(now_ms) - began)) -gt $PATIENCE_MS ]; then
      printf '%s: after %s, %s ms\n--- wanted\n%s\n--- got\n%s\n' "$0" "$what" $(($(now_ms) - began)) "$expected" "$(answers "$address")" >&2
      "$MILLSTREAM" sql --server "$address" -c "SHOW QUERIES;" >&2 || true
      tail -n 30 "$WORK"/log* >&2
      exit 1
    fi
    sleep 0.05
  done
  took=$(($(now_ms) - began))
  echo "$what: $took ms"
  [ "$took" -le "${!longest}" ] || printf -v "$longest" '%s' "$took"
}

whole() { behind | sed 's/^0$/whole/'; }

kill_broker() { # NUMBER
  kill -KILL "${BROKERS[$1]}"
  wait "${BROKERS[$1]}" 2>/dev/null || true
}

start_brokers
add
POSTGRES=${ADDRESSES[0]}
# Until somebody leads, statements are refused.
until sql "$SQL" >/dev/null 2>"$WORK/refused"; do grep -q 'no process leads' "$WORK/refused" || { cat "$WORK/refused" >&2; exit 1; }; done
add
add
END=$(($(date +%s) + SECONDS_MAX))
while [ "$(date +%s)" -lt "$END" ]; do
  for _ in $(seq $((RANDOM % 4 + 1))); do write; done
  victim=$((RANDOM % ${#PIDS[@]}))
  began=$(now_ms)
  case $((RANDOM % 6)) in
    0)
      [ ${#PIDS[@]} -lt 4 ] || continue
      add
      began=$(now_ms)
      write
      answered "$began" LONGEST_PROCESS "a process more"
      ;;
    1)
      [ ${#PIDS[@]} -gt 3 ] || continue
      end "$victim" TERM
      write
      answered "$began" LONGEST_PROCESS "a process stopped"
      ;;
    2 | 3)
      end "$victim" KILL
      write
      answered "$began" LONGEST_PROCESS "a process killed"
      [ ${#PIDS[@]} -ge 3 ] || add
      ;;
    *)
      number=$((RANDOM % 3 + 1)) what="a broker killed"
      kill_broker $number
      if [ $((RANDOM % 2)) = 0 ]; then
        what="a broker and a process killed"
        end "$victim" KILL
      fi
      write
      answered "$began" LONGEST_BROKER "$what"
      broker $number
      [ ${#PIDS[@]} -ge 3 ] || add
      becomes "all copies are there again" whole whole
      ;;
  esac
done

expected=$(wanted)
for address in "${ADDRESSES[@]}"; do
  becomes "the answers of $address" "$expected" answers "$address"
done
same "the results, read committed, each once" "$(seq "$WRITTEN" | awk '$1 * 31 % 100 >= 90 { print "o" $1 }' | sort)" \
  "$(kcat -b "$CLUSTER" -C -t large -o beginning -e -X isolation.level=read_committed -f '%k\n' 2>>"$WORK/kcat" | sort)"
echo "$WRITTEN orders; the longest until all was answered again: $LONGEST_PROCESS ms after a process, $LONGEST_BROKER ms after a broker"
[ -z "${MILLSTREAM_CLUSTER_SECONDS:-}" ] || { [ "$LONGEST_PROCESS" -le "$PROCESS_MS_MAX" ] && [ "$LONGEST_BROKER" -le "$BROKER_MS_MAX" ]; }
