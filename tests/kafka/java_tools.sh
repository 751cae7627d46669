#!/usr/bin/env bash
# Apache Kafka's own tools; $KAFKA_TOOLS says where they are.
. "$(dirname "$0")/lib.sh"
tool() {
  local name=$1 path
  shift
  for path in "$KAFKA_TOOLS/$name" "$KAFKA_TOOLS/$name.sh"; do
    [ -x "$path" ] && break
  done
  timeout 120 "$path" --bootstrap-server "$KAFKA" "$@"
}

tool kafka-topics --create --topic events --partitions 2 --replication-factor 1 >/dev/null
has "list" "events" "$(tool kafka-topics --list)"
has "describe" "PartitionCount: 2" "$(tool kafka-topics --describe --topic events)"
has "made twice" "exists already" "$(tool kafka-topics --create --topic events 2>&1 || true)"
has "too many replicas" "one broker" \
  "$(tool kafka-topics --create --topic more --partitions 1 --replication-factor 3 2>&1 || true)"
tool kafka-topics --alter --topic events --partitions 3 >/dev/null
has "altered" "PartitionCount: 3" "$(tool kafka-topics --describe --topic events)"

seq 100 | tool kafka-console-producer --topic events
same "from the beginning" "$(seq 100)" \
  "$(tool kafka-console-consumer --topic events --from-beginning --max-messages 100 2>/dev/null | sort -n)"
printf 'k1|v1\nk2|v2\n' | tool kafka-console-producer --topic events \
  --reader-property parse.key=true --reader-property key.separator='|' --command-property acks=all \
  --command-property compression.type=zstd --command-property enable.idempotence=true
same "by a group" "102" \
  "$(tool kafka-console-consumer --topic events --group readers --from-beginning --max-messages 102 2>/dev/null | wc -l)"

# The protocol in which the server assigns. Newer tools say on the same channel that the option has another name.
same "by a group of the consumer protocol" "102" "$(tool kafka-console-consumer --topic events --group modern \
  --from-beginning --max-messages 102 --consumer-property group.protocol=consumer 2>/dev/null | grep -cv '^Option')"
has "its assignor" "uniform" "$(tool kafka-consumer-groups --describe --group modern --state 2>/dev/null)"
has "its type" "modern" "$(tool kafka-consumer-groups --list --type consumer)"
same "the others are of the other type" "" "$(tool kafka-consumer-groups --list --type classic | grep modern || true)"
tool kafka-consumer-groups --delete --group modern >/dev/null

described=$(tool kafka-consumer-groups --describe --group readers 2>/dev/null)
has "the group's topic" "events" "$described"
same "the group has read all" "0" "$(awk '$2 == "events" { lag += $6 } END { print lag + 0 }' <<<"$described")"
has "the group's state" "Empty" "$(tool kafka-consumer-groups --describe --group readers --state 2>/dev/null)"
has "listed" "readers" "$(tool kafka-consumer-groups --list)"
tool kafka-consumer-groups --group readers --topic events --reset-offsets --to-earliest --execute >/dev/null
same "it reads again" "102" \
  "$(tool kafka-console-consumer --topic events --group readers --max-messages 102 2>/dev/null | wc -l)"
tool kafka-consumer-groups --group readers --topic events --reset-offsets --to-datetime 2100-01-01T00:00:00.000 \
  --execute >/dev/null
tool kafka-consumer-groups --delete --group readers >/dev/null
same "deleted" "" "$(tool kafka-consumer-groups --list | grep readers || true)"

tool kafka-configs --alter --entity-type topics --entity-name events --add-config retention.ms=60000 >/dev/null
has "configured" "retention.ms=60000" "$(tool kafka-configs --describe --entity-type topics --entity-name events)"
tool kafka-configs --alter --entity-type topics --entity-name events --delete-config retention.ms >/dev/null
has "a setting that is none" "nonsense" "$(tool kafka-configs --alter --entity-type topics --entity-name events \
  --add-config nonsense=1 2>&1 || true)"

tool kafka-topics --create --topic short --partitions 1 >/dev/null
seq 10 | tool kafka-console-producer --topic short
printf '{"partitions": [{"topic": "short", "partition": 0, "offset": 5}], "version": 1}' >"$WORK/delete.json"
has "records deleted" "low_watermark: 5" "$(tool kafka-delete-records --offset-json-file "$WORK/delete.json")"
has "the beginning" "short:0:5" "$(tool kafka-get-offsets --topic short --time earliest)"
has "versions" "Produce(0)" "$(tool kafka-broker-api-versions)"
has "transactions" "TransactionalId" "$(tool kafka-transactions list)"

tool kafka-topics --create --topic perf --partitions 2 >/dev/null
perf="$KAFKA_TOOLS/kafka-producer-perf-test"
[ -x "$perf" ] || perf="$perf.sh"
for more in acks=all acks=1 enable.idempotence=true; do
  has "producer perf $more" "20000 records sent" "$(timeout 120 "$perf" --topic perf \
    --num-records 20000 --record-size 200 --throughput -1 --producer-props bootstrap.servers="$KAFKA" "$more" 2>&1)"
done
has "consumer perf" "60000" "$(tool kafka-consumer-perf-test --topic perf --messages 60000 2>&1)"

has "a misspelt topic" "evnets" "$(tool kafka-topics --describe --topic evnets 2>&1 || true)"
has "a misspelt topic is not written to" "UNKNOWN_TOPIC_OR_PARTITION" \
  "$(echo x | tool kafka-console-producer --topic evnets --command-property max.block.ms=3000 2>&1 || true)"
tool kafka-topics --delete --topic events >/dev/null
same "deleted" "" "$(tool kafka-topics --list | grep '^events$' || true)"
