#!/usr/bin/env bash
# Kafka's verifiable producer and consumer: each acknowledged record is read, by a group of either protocol.
. "$(dirname "$0")/lib.sh"
topics=(--bootstrap-server "$KAFKA" --create --partitions 3 --replication-factor 1)
kafka_class org.apache.kafka.tools.TopicCommand "${topics[@]}" --topic verified >/dev/null
sent=$(kafka_class org.apache.kafka.tools.VerifiableProducer --bootstrap-server "$KAFKA" --topic verified \
  --max-messages 5000 --acks -1 --value-prefix 7)
has "all are acknowledged" '"sent":5000,"acked":5000' "$sent"
same "and said to be, one by one" 5000 "$(grep -c '"name":"producer_send_success"' <<<"$sent")"
for protocol in classic consumer; do
  consumed=$(kafka_class org.apache.kafka.tools.VerifiableConsumer --bootstrap-server "$KAFKA" --topic verified \
    --group-id "verified-$protocol" --group-protocol "$protocol" --max-messages 5000 --reset-policy earliest --verbose)
  has "$protocol: it has all partitions" '"name":"partitions_assigned"' "$consumed"
  same "$protocol: all are read once" "$(sed -nE 's/.*"name":"producer_send_success".*"value":"([^"]*)".*/\1/p' <<<"$sent" | sort)" \
    "$(sed -nE 's/.*"name":"record_data".*"value":"([^"]*)".*/\1/p' <<<"$consumed" | sort)"
  has "$protocol: and committed" '"name":"offsets_committed","success":true' \
    "$(sed -E 's/"timestamp":[0-9]+,//; s/("name":"offsets_committed").*("success":true).*/\1,\2/' <<<"$consumed")"
done
