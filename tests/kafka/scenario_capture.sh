#!/usr/bin/env bash
# A network capture: lines of `tcpdump -l -n` go into a topic as they come; SQL turns them into columns, counts packets
# per host and window and looks a host up by key; the server is killed, and goes on where it stopped. The lines are
# those of capture.txt, and of a live capture besides, where tcpdump may listen on the loopback.
. "$(dirname "$0")/lib.sh"
LINES=$(dirname "$0")/capture.txt
serve

topics --create capture --partitions 1 >/dev/null
sql "CREATE STREAM capture (line VARCHAR) WITH (kafka_topic = 'capture', value_format = 'KAFKA');
CREATE STREAM packets WITH (value_format = 'JSON') AS
  SELECT REGEXP_EXTRACT(' IP ([0-9.]+)[.][0-9]+ > ', line, 1) AS host,
         REGEXP_EXTRACT(' > ([0-9.]+)[.][0-9]+: ', line, 1) AS target,
         CAST(REGEXP_EXTRACT('length ([0-9]+)', line, 1) AS INT) AS bytes
  FROM capture WHERE line LIKE '% IP %' EMIT CHANGES;
CREATE TABLE hosts AS SELECT host, COUNT(*) AS packets, SUM(bytes) AS bytes FROM packets GROUP BY host EMIT CHANGES;
CREATE TABLE per_minute AS SELECT host, COUNT(*) AS packets FROM packets WINDOW TUMBLING (SIZE 1 MINUTE)
  GROUP BY host EMIT CHANGES;" >/dev/null

# How many packets a host has sent, and of how many bytes in all, by the capture itself.
counted() { # HOST TIMES
  awk -v host="$1" -v times="$2" '$2 == "IP" { split($3, a, "."); from = a[1]"."a[2]"."a[3]"."a[4]
    if (from == host) { n++; bytes += $NF } } END { print n * times "," bytes * times }' "$LINES"
}
looked_up() { # HOST
  sql "SELECT packets, bytes FROM hosts WHERE host = '$1';" | sed -n 's/^ *\([0-9]*\) *| *\([0-9]*\) *$/\1,\2/p'
}
in_windows() { # HOST
  sql "SELECT SUM(packets) AS n FROM per_minute WHERE host = '$1' ORDER BY n;" | sed -n 's/^ *\([0-9][0-9]*\) *$/\1/p'
}

kcat -b "$KAFKA" -P -t capture <"$LINES"
becomes "a host by key" "$(counted 127.0.0.1 1)" looked_up 127.0.0.1
becomes "another host" "$(counted 10.0.0.9 1)" looked_up 10.0.0.9
becomes "its packets by window" "$(counted 127.0.0.1 1 | cut -d, -f1)" in_windows 127.0.0.1

stop_server KILL
serve
becomes "a host after the kill" "$(counted 127.0.0.1 1)" looked_up 127.0.0.1
kcat -b "$KAFKA" -P -t capture <"$LINES"
becomes "it goes on" "$(counted 127.0.0.1 2)" looked_up 127.0.0.1
becomes "in its windows, too" "$(counted 127.0.0.1 2 | cut -d, -f1)" in_windows 127.0.0.1

# A capture of nothing goes on until it is ended; one that is not allowed ends by itself.
tcpdump -n -i lo -c 1 port 1 >/dev/null 2>&1 &
probe=$!
sleep 1
if kill -0 "$probe" 2>/dev/null; then
  kill "$probe"
  tcpdump -l -n -i lo tcp and dst port "${POSTGRES##*:}" 2>/dev/null | kcat -b "$KAFKA" -P -t capture &
  more() { [ "$(looked_up 127.0.0.1 | cut -d, -f1)" -gt "$(counted 127.0.0.1 2 | cut -d, -f1)" ] && echo more; }
  becomes "live packets" "more" more
else
  echo "SKIPPED the live half of $0: tcpdump is not here, or may not listen" >&2
fi
