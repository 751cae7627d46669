#!/usr/bin/env bash
# Flink's Kafka source and sinks: words are counted into a changelog, and copied exactly once. $FLINK_CLASSPATH has the
# jars of Flink's SQL and its Kafka connector, $KAFKA_CLASSPATH Kafka's.
. "$(dirname "$0")/lib.sh"
javac -d "$WORK/classes" -cp "$FLINK_CLASSPATH" "$(dirname "$0")/java/FlinkWordCount.java"
for topic in flink-words flink-counts flink-copy; do
  kafka_class org.apache.kafka.tools.TopicCommand --bootstrap-server "$KAFKA" --create --partitions 2 --topic "$topic" >/dev/null
done
for _ in $(seq 3000); do printf 'a\nb\na\n'; done |
  kafka_class org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$KAFKA" --topic flink-words 2>/dev/null
mkdir "$WORK/checkpoints"
timeout 200 java -Xmx1g --add-opens java.base/java.util=ALL-UNNAMED --add-opens java.base/java.lang=ALL-UNNAMED \
  --add-opens java.base/java.time=ALL-UNNAMED --add-opens java.base/java.nio=ALL-UNNAMED \
  -cp "$WORK/classes:$FLINK_CLASSPATH" FlinkWordCount "$KAFKA" "$WORK/checkpoints" 2>"$WORK/flink" ||
  { tail -40 "$WORK/flink" >&2; exit 1; }
read_all() { # TOPIC
  kafka_class org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$KAFKA" --topic "$1" --from-beginning \
    --timeout-ms 5000 --isolation-level read_committed --formatter-property print.key=true 2>/dev/null
}
same "the last counts" '{"word":"a","n":6000} {"word":"b","n":3000} ' \
  "$(read_all flink-counts | awk -F'\t' 'NF == 2 { last[$1] = $2 } END { for (word in last) print last[word] }' | sort | tr '\n' ' ')"
same "the copy" "6000 A;3000 B;" "$(read_all flink-copy | awk -F'\t' 'NF == 2 { print $2 }' | sort | uniq -c | awk '{ printf "%s %s;", $1, $2 }')"
