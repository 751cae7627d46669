#!/usr/bin/env bash
# First steps: a topic with two partitions, a producer and a consumer in two terminals, list, describe, delete; what
# happens with a misspelt topic and a wrong port; records and topics are still there after a restart.
. "$(dirname "$0")/lib.sh"
serve

topics --create greetings --partitions 2 >/dev/null
has "list" "greetings" "$(kcat -b "$KAFKA" -L)"

# A consumer that waits, in the other terminal.
kcat -b "$KAFKA" -C -q -u -t greetings -o beginning -c 3 >"$WORK/other" &
other=$!
printf 'hello\nworld\n' | kcat -b "$KAFKA" -P -t greetings -p 0
printf 'again\n' | kcat -b "$KAFKA" -P -t greetings -p 0
wait "$other"
same "the other terminal" $'hello\nworld\nagain' "$(cat "$WORK/other")"
same "from the beginning, at most two" $'hello\nworld' "$(kcat -b "$KAFKA" -C -q -t greetings -p 0 -o beginning -c 2)"

# The same records are a stream of SQL.
sql "CREATE STREAM greetings (line VARCHAR) WITH (kafka_topic = 'greetings', value_format = 'KAFKA');" >/dev/null
has "by SQL" "again" "$(sql "SELECT line FROM greetings;")"

has "a misspelt topic" "Unknown topic" \
  "$(echo x | kcat -b "$KAFKA" -P -t greetnigs -X topic.metadata.propagation.max.ms=500 2>&1 || true)"
has "the wrong port" "refused" "$(kcat -b 127.0.0.1:1 -m 2 -L 2>&1 || true)"

stop_server KILL
serve
same "after a restart" $'hello\nworld\nagain' "$(kcat -b "$KAFKA" -C -q -t greetings -p 0 -o beginning -e)"
sql "DROP STREAM greetings;" >/dev/null
topics --delete greetings >/dev/null
case "$(kcat -b "$KAFKA" -L)" in *greetings*) same "deleted" "" "still there" ;; esac
