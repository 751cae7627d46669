#!/usr/bin/env bash
# Users and rules by Kafka's own tools, kafka-configs and kafka-acls. The server has the user root, who may do all.
. "$(dirname "$0")/lib.sh"
as() { # NAME PASSWORD: a file of settings
  cat >"$WORK/$1.properties" <<END2
security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="$1" password="$2";
END2
}
as root "root's secret"
as ann "ann's secret"
configs() { kafka_class kafka.admin.ConfigCommand --bootstrap-server "$KAFKA" --command-config "$WORK/root.properties" "$@" 2>&1; }
acls() { kafka_class org.apache.kafka.tools.AclCommand --bootstrap-server "$KAFKA" --command-config "$WORK/root.properties" "$@" 2>&1; }
produce() { # WHO TOPIC
  kafka_class org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$KAFKA" --command-config "$WORK/$1.properties" \
    --topic "$2" --command-property max.block.ms=5000 2>&1
}
consume() { # WHO TOPIC
  kafka_class org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$KAFKA" --topic "$2" --from-beginning \
    --command-config "$WORK/$1.properties" --max-messages 1 --timeout-ms 20000 --group "$1-reads" 2>&1
}

has "a user is made" "Completed" "$(configs --alter --entity-type users --entity-name ann \
  --add-config "SCRAM-SHA-512=[iterations=8192,password=ann's secret],SCRAM-SHA-256=[password=ann's secret]")"
described=$(configs --describe --entity-type users --entity-name ann)
has "and described" "SCRAM-SHA-512=iterations=8192" "$described"
has "with both mechanisms" "SCRAM-SHA-256=iterations=4096" "$described"
has "all users" "root" "$(configs --describe --entity-type users)"

has "without rules she may not" "uthorization" "$(echo a | produce ann open-1 || true)"
acls --add --allow-principal User:ann --producer --consumer --topic open- --group '*' --resource-pattern-type prefixed >"$WORK/added" ||
  { cat "$WORK/added" >&2; exit 1; }
acls --add --allow-principal User:ann --operation Read --group ann-reads >/dev/null
acls --add --deny-principal User:ann --operation All --topic open-secret --deny-host '*' >/dev/null
listed=$(acls --list)
has "a rule" "principal=User:ann, host=*, operation=WRITE, permissionType=ALLOW" "$listed"
has "what it is about" "resourceType=TOPIC, name=open-, patternType=PREFIXED" "$listed"
has "what is forbidden" "operation=ALL, permissionType=DENY" "$(acls --list --topic open-secret)"
topics=(--bootstrap-server "$KAFKA" --command-config "$WORK/ann.properties" --create --partitions 1)
kafka_class org.apache.kafka.tools.TopicCommand "${topics[@]}" --topic open-1 >/dev/null
has "she may not make others" "uthorization" \
  "$(kafka_class org.apache.kafka.tools.TopicCommand "${topics[@]}" --topic open-secret 2>&1 || true)"
echo hello | produce ann open-1
has "she reads" "hello" "$(consume ann open-1)"
has "she may not see rules" "ClusterAuthorizationException" "$(kafka_class org.apache.kafka.tools.AclCommand \
  --bootstrap-server "$KAFKA" --command-config "$WORK/ann.properties" --list 2>&1 || true)"

acls --remove --force --topic open- --resource-pattern-type prefixed >/dev/null
has "she may no more" "uthorization" "$(echo a | produce ann open-1 || true)"
has "the user goes" "Completed" "$(configs --alter --entity-type users --entity-name ann \
  --delete-config SCRAM-SHA-512,SCRAM-SHA-256)"
has "and does not get in" "uthentication" "$(echo a | produce ann open-1 || true)"
has "the configuration file's own stays" "configuration file" "$(configs --alter --entity-type users \
  --entity-name root --add-config "SCRAM-SHA-512=[password=mine]" || true)"
