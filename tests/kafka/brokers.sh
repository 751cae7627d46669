# A cluster of three brokers of Apache Kafka, each a controller, too, that keep three copies of everything; sourced after
# lib.sh. $KAFKA_CLASSPATH has Kafka's jars.

# Brokers that cannot reach each other any more do not end when they are asked.
trap 'stop_server; kill -KILL $(jobs -p) 2>/dev/null || true; rm -rf "$WORK"' EXIT

mapfile -t PORTS < <(shuf -i 20000-32000 -n 6)
CLUSTER="127.0.0.1:${PORTS[0]},127.0.0.1:${PORTS[1]},127.0.0.1:${PORTS[2]}"
BROKERS=("" "" "" "")

# Start a broker: NUMBER
broker() {
  java -Xmx512m -cp "$KAFKA_CLASSPATH" kafka.Kafka "$WORK/broker$1.properties" >>"$WORK/broker$1.log" 2>&1 &
  BROKERS[$1]=$!
}

# How many there are, as they say.
brokers() { kcat -b "$CLUSTER" -L -m 2 2>/dev/null | grep -c '^  broker'; }

# How many partitions have fewer copies than they should, as one of the brokers sees it.
behind() { kcat -b "$CLUSTER" -L -m 2 2>/dev/null | grep ' partition ' | grep -vc 'isrs: [1-3],[1-3],[1-3]'; }

# Start all three of them.
start_brokers() {
  local number
  for number in 1 2 3; do
    cat >"$WORK/broker$number.properties" <<C
process.roles=broker,controller
node.id=$number
controller.quorum.voters=1@127.0.0.1:${PORTS[3]},2@127.0.0.1:${PORTS[4]},3@127.0.0.1:${PORTS[5]}
listeners=PLAINTEXT://127.0.0.1:${PORTS[number - 1]},CONTROLLER://127.0.0.1:${PORTS[number + 2]}
advertised.listeners=PLAINTEXT://127.0.0.1:${PORTS[number - 1]}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$WORK/broker$number
default.replication.factor=3
min.insync.replicas=2
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
C
    kafka_class kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk -c "$WORK/broker$number.properties" \
      >"$WORK/format" 2>&1 || { cat "$WORK/format" >&2; exit 1; }
    broker "$number"
  done
  becomes "three brokers" 3 brokers
}
