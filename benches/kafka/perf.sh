#!/usr/bin/env bash
# The Kafka listener against Apache Kafka, by Kafka's own perf tools, on one machine in one run: rates of producing and
# consuming, latency at a steady rate, memory. Prints a table (the medians of the rounds) and, before it, every round.
#
#   MILLSTREAM=target/release/millstream KAFKA_CLASSPATH='/opt/kafka/libs/*' benches/kafka/perf.sh
#
# ROUNDS (5), RECORDS of a round (2000000), PARTITIONS (4), LATENCY_RECORDS at 5,000 a second (50000), WORK (a folder on
# the disk to measure). Ours is as it comes: every acknowledged record is synced to disk. So is Kafka: it leaves that to
# the system, with 1 GB of heap. Kafka's producer takes several times the CPU of either server, so on few cores its rate
# says little of them: where kcat is installed, its rate is measured as well, and the CPU that each server took meanwhile.
set -euo pipefail
: "${MILLSTREAM:?the server, built with --release}" "${KAFKA_CLASSPATH:?the jars of Apache Kafka 4, as java takes them}"
ROUNDS=${ROUNDS:-5} RECORDS=${RECORDS:-2000000} PARTITIONS=${PARTITIONS:-4} LATENCY_RECORDS=${LATENCY_RECORDS:-50000}
BYTES=200 RATE=5000
WORK=$(mktemp -d "${WORK:-/var/tmp}/kafka-perf.XXXXXX")
PIDS=()
trap 'kill "${PIDS[@]}" 2>/dev/null || true; wait "${PIDS[@]}" 2>/dev/null || true; rm -rf "$WORK"' EXIT
cat >"$WORK/log4j2.properties" <<CONF
rootLogger.level = error
CONF
JAVA=(java -Dlog4j2.configurationFile="$WORK/log4j2.properties" -cp "$KAFKA_CLASSPATH")
tool() { "${JAVA[@]}" -Xmx512m "org.apache.kafka.tools.$1" "${@:2}"; }

start_millstream() {
  "$MILLSTREAM" --log-format json start --data "$WORK/millstream" --pg 127.0.0.1:0 --http 127.0.0.1:0 --kafka 127.0.0.1:0 \
    2>"$WORK/millstream.log" &
  PIDS+=($!) MILLSTREAM_PID=$!
  until grep -q '"message":"ready"' "$WORK/millstream.log"; do
    kill -0 "$MILLSTREAM_PID" || { cat "$WORK/millstream.log" >&2; exit 1; }
    sleep 0.1
  done
  MILLSTREAM_AT=$(sed -nE 's/.*"kafka":"([^"]+)".*/\1/p' "$WORK/millstream.log" | head -1)
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_kafka() {
  local port controller conf="$WORK/kafka.properties"
  port=$(free_port) controller=$(free_port)
  cat >"$conf" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$WORK/kafka
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
CONF
  local id
  id=$("${JAVA[@]}" kafka.tools.StorageTool random-uuid)
  "${JAVA[@]}" kafka.tools.StorageTool format -t "$id" -c "$conf" --standalone >/dev/null
  # The flags of kafka-server-start.sh.
  "${JAVA[@]}" -Xms1g -Xmx1g -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
    -XX:+ExplicitGCInvokesConcurrent kafka.Kafka "$conf" >"$WORK/kafka.log" 2>&1 &
  PIDS+=($!) KAFKA_PID=$! KAFKA_AT=127.0.0.1:$port
  until tool TopicCommand --bootstrap-server "$KAFKA_AT" --list >/dev/null 2>&1; do
    kill -0 "$KAFKA_PID" || { cat "$WORK/kafka.log" >&2; exit 1; }
    sleep 0.5
  done
}

# Every measurement: "SYSTEM WHAT NUMBER", kept in a file.
note() { printf '%-11s %-22s %s\n' "$@" | tee -a "$WORK/numbers"; }

produce() { # SYSTEM AT WHAT TOPIC RECORDS RATE PROPERTY…: rate and p99
  local out
  out=$(tool ProducerPerformance --topic "$4" --num-records "$5" --record-size "$BYTES" --throughput "$6" \
    --producer-props bootstrap.servers="$2" acks=all "${@:7}" | tail -1)
  note "$1" "$3" "$(sed -nE 's/.* ([0-9]+)(\.[0-9]+)? records\/sec.*/\1/p' <<<"$out")"
  note "$1" "$3 p50" "$(sed -nE 's/.* ([0-9]+) ms 50th.*/\1/p' <<<"$out")"
  note "$1" "$3 p99" "$(sed -nE 's/.* ([0-9]+) ms 99th.*/\1/p' <<<"$out")"
}

consume() { # SYSTEM AT TOPIC RECORDS
  local out
  out=$(tool ConsumerPerformance --bootstrap-server "$2" --topic "$3" --messages "$4" --timeout 60000 2>/dev/null | tail -1)
  note "$1" consume "$(awk -F', ' '{ printf "%d", $10 }' <<<"$out")"
}

cpu_s() { # SYSTEM: CPU seconds that its server has taken
  local pid=$MILLSTREAM_PID
  [ "$1" = millstream ] || pid=$KAFKA_PID
  awk -v ticks="$(getconf CLK_TCK)" '{ print ($14 + $15) / ticks }' "/proc/$pid/stat"
}

produce_by_kcat() { # SYSTEM AT TOPIC
  local begun cpu
  begun=$(date +%s.%N) cpu=$(cpu_s "$1")
  kcat -P -b "$2" -t "$3" -X acks=all -l "$WORK/lines"
  note "$1" kcat "$(awk -v a="$begun" -v b="$(date +%s.%N)" -v n="$RECORDS" 'BEGIN { printf "%d", n / (b - a) }')"
  note "$1" "kcat CPU" "$(awk -v a="$cpu" -v b="$(cpu_s "$1")" -v n="$RECORDS" 'BEGIN { printf "%.2f", (b - a) * 1e6 / n }')"
}

round() { # SYSTEM AT NUMBER
  local topic
  for topic in "all-$3" "idempotent-$3" "steady-$3" "kcat-$3"; do
    tool TopicCommand --bootstrap-server "$2" --create --topic "$topic" --partitions "$PARTITIONS" \
      --replication-factor 1 >/dev/null
  done
  produce "$1" "$2" produce "all-$3" "$RECORDS" -1 enable.idempotence=false
  produce "$1" "$2" idempotent "idempotent-$3" "$RECORDS" -1 enable.idempotence=true
  consume "$1" "$2" "all-$3" "$RECORDS"
  produce "$1" "$2" steady "steady-$3" "$LATENCY_RECORDS" "$RATE" enable.idempotence=false
  if [ -f "$WORK/lines" ]; then produce_by_kcat "$1" "$2" "kcat-$3"; fi
  for topic in "all-$3" "idempotent-$3" "steady-$3" "kcat-$3"; do
    tool TopicCommand --bootstrap-server "$2" --delete --topic "$topic" >/dev/null
  done
}

fsync_ms() { # the 50th and 99th percentile of writing 4 KB and syncing them
  python3 - "$WORK/fsync" <<'PY'
import os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
took = []
for _ in range(1000):
    os.write(file, b"x" * 4096)
    begun = time.perf_counter()
    os.fdatasync(file)
    took.append((time.perf_counter() - begun) * 1000)
took.sort()
print(f"{took[500]:.2f} {took[990]:.2f}")
PY
}

if command -v kcat >/dev/null; then
  head -c $((RECORDS * BYTES * 3 / 4)) /dev/urandom | base64 -w "$BYTES" >"$WORK/lines"
fi
start_millstream
start_kafka
echo "fsync of 4 KB, ms, 50th and 99th percentile: $(fsync_ms)"
for number in $(seq "$ROUNDS"); do
  # Who is first alternates.
  if ((number % 2)); then order="millstream kafka"; else order="kafka millstream"; fi
  for system in $order; do
    if [ "$system" = kafka ]; then round kafka "$KAFKA_AT" "$number"; else round millstream "$MILLSTREAM_AT" "$number"; fi
  done
done
note millstream memory "$(awk '/VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$MILLSTREAM_PID/status")"
note kafka memory "$(awk '/VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$KAFKA_PID/status")"

median() { # SYSTEM WHAT
  awk -v system_="$1" -v what="$2" '{ s = $1; n = $NF; $1 = ""; $NF = ""; gsub(/^ +| +$/, "") }
    s == system_ && $0 == what { print n }' "$WORK/numbers" | sort -g | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}
echo
echo "| of $ROUNDS rounds the median | Millstream | Apache Kafka | ratio |"
echo "|---|---:|---:|---:|"
line() { # TITLE WHAT
  local ours theirs
  ours=$(median millstream "$2") theirs=$(median kafka "$2")
  printf '| %s | %s | %s | %s |\n' "$1" "$ours" "$theirs" "$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }')"
}
line "produce, acks=all, records/s" produce
line "produce, idempotent, records/s" idempotent
line "consume, records/s" consume
line "produce at $RATE records/s, p50, ms" "steady p50"
line "produce at $RATE records/s, p99, ms" "steady p99"
if [ -f "$WORK/lines" ]; then
  line "produce by kcat, acks=all, records/s" kcat
  line "CPU of the server meanwhile, s per million" "kcat CPU"
fi
line "peak of memory, MB" memory
