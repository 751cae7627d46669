#!/usr/bin/env bash
# Moving up: the same SQL on the embedded log and on an Apache Kafka cluster of three brokers with three replicas of
# everything. One of the brokers is killed while records come. $KAFKA_CLASSPATH has Kafka's jars; kcat writes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/brokers.sh"
ORDERS=3000

SQL="CREATE STREAM orders (id VARCHAR KEY, item VARCHAR, amount INT)
  WITH (kafka_topic = 'orders', value_format = 'JSON', partitions = 4);
SET 'auto.offset.reset' = 'earliest';
CREATE TABLE per_item AS SELECT item, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY item EMIT CHANGES;
CREATE STREAM large WITH (kafka_topic = 'large') AS SELECT id, item, amount FROM orders WHERE amount >= 90 EMIT CHANGES;
CREATE TABLE large_per_item AS SELECT item, COUNT(*) AS n FROM large GROUP BY item EMIT CHANGES;"

# Orders as kcat takes them; after a third of them, what is asked to be done.
orders() { # COMMAND…
  for n in $(seq "$ORDERS"); do
    [ "$n" != $((ORDERS / 3)) ] || "$@" >&2
    echo "o$n:{\"ITEM\":\"i$((n * 7 % 13))\",\"AMOUNT\":$((n * 31 % 100))}"
    [ $((n % 100)) != 0 ] || sleep 0.2
  done
}
write() { kcat -b "$KAFKA" -P -t orders -K: -X enable.idempotence=true -X message.timeout.ms=60000; }
answers() { sql "SELECT * FROM per_item ORDER BY item; SELECT * FROM large_per_item ORDER BY item; SELECT COUNT(*) FROM large;"; }
counted() { sql "SELECT SUM(n) AS n FROM per_item ORDER BY n;" | sed -n 's/^ *\([0-9][0-9]*\) *$/\1/p'; }
counted_large() { sql "SELECT SUM(n) AS n FROM large_per_item ORDER BY n;" | sed -n 's/^ *\([0-9][0-9]*\) *$/\1/p'; }
LARGE=$(for n in $(seq "$ORDERS"); do echo $((n * 31 % 100)); done | awk '$1 >= 90' | wc -l)

# On one machine.
serve
sql "$SQL" >/dev/null
orders true | write
becomes "on the embedded log" "$ORDERS" counted
becomes "and the table behind it" "$LARGE" counted_large
EMBEDDED=$(answers)
stop_server

# On three brokers.
start_brokers
on_cluster() {
  start_server --kafka-bootstrap "$CLUSTER" --service-id moving_up
  KAFKA=$CLUSTER
}
on_cluster
sql "$SQL" >/dev/null
has "its topics have three replicas" "replicas: 1,2,3" "$(kcat -b "$KAFKA" -L -t orders | sed 's/replicas: [1-3],[1-3],[1-3]/replicas: 1,2,3/')"
orders kill -KILL "${BROKERS[2]}" | write
becomes "while a broker is killed" "$ORDERS" counted
becomes "and the table behind it" "$LARGE" counted_large
same "the same answers as on one machine" "$EMBEDDED" "$(answers)"

# The server is killed, too: another process goes on.
stop_server KILL
on_cluster
same "the same answers after a kill" "$EMBEDDED" "$(answers)"
broker 2
becomes "three brokers again" 3 brokers
