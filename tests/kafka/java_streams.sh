#!/usr/bin/env bash
# A word count with Kafka Streams that is killed in the middle and goes on: with exactly_once_v2 no word is counted twice
# and none is missed; at least once, none is missed.
. "$(dirname "$0")/lib.sh"
javac -d "$WORK/classes" -cp "$KAFKA_CLASSPATH" "$(dirname "$0")/java/StreamsWordCount.java"
count() { # GUARANTEE
  java -Xmx512m -cp "$WORK/classes:$KAFKA_CLASSPATH" StreamsWordCount "$KAFKA" "$1" "$WORK/state-$1" 2>"$WORK/streams-$1" &
  COUNTING=$!
}
feed() { # GUARANTEE
  for _ in $(seq 2000); do printf 'a b a\nc a\n'; done |
    kafka_class org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$KAFKA" --topic "lines-$1" 2>/dev/null
}
# The last count of each word that consumers see who read committed.
counted() { # GUARANTEE
  kafka_class org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$KAFKA" --topic "counts-$1" \
    --from-beginning --timeout-ms 5000 --isolation-level read_committed --formatter-property print.key=true \
    --formatter-property value.deserializer=org.apache.kafka.common.serialization.LongDeserializer 2>/dev/null |
    awk -F'\t' 'NF == 2 { last[$1] = $2 } END { for (word in last) print word, last[word] }' | sort | tr '\n' ';'
}
for guarantee in exactly_once_v2 at_least_once; do
  for topic in "lines-$guarantee" "counts-$guarantee"; do
    kafka_class org.apache.kafka.tools.TopicCommand --bootstrap-server "$KAFKA" --create --partitions 2 --topic "$topic" >/dev/null
  done
  count "$guarantee"
  feed "$guarantee"
  some=$(counted "$guarantee")
  kill -KILL "$COUNTING"
  wait "$COUNTING" 2>/dev/null || true
  has "$guarantee: it counts" "a " "$some"
  feed "$guarantee"
  count "$guarantee"
  if [ "$guarantee" = exactly_once_v2 ]; then
    becomes "$guarantee: what was counted" "a 12000;b 4000;c 4000;" counted "$guarantee"
  else
    atleast() { counted at_least_once | tr ';' '\n' | awk '$1 == "a" { print ($2 >= 12000 ? "all" : $2) }'; }
    becomes "$guarantee: what was counted" all atleast
  fi
  kill "$COUNTING"
  wait "$COUNTING" 2>/dev/null || true
done
