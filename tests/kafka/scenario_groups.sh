#!/usr/bin/env bash
# Consumer groups: three consumers share four partitions, one dies, the others take over; offsets survive the server;
# reading again from a point in time.
. "$(dirname "$0")/lib.sh"
serve
topics --create work --partitions 4 >/dev/null

member() { # NAME
  kcat -b "$KAFKA" -G workers -q -u -X auto.offset.reset=earliest -X session.timeout.ms=6000 \
    -X auto.commit.interval.ms=200 -X partition.assignment.strategy=range -f '%s\n' work >>"$WORK/$1" 2>/dev/null &
}
member one
one=$!
member two
two=$!
member three
three=$!

feed() { # FROM TO
  for partition in 0 1 2 3; do seq -f "$partition-%g" "$1" "$2" | kcat -b "$KAFKA" -P -t work -p "$partition"; done
}
expected() { for partition in 0 1 2 3; do seq -f "$partition-%g" 1 "$1"; done | sort; }
read_so_far() { sort -u "$WORK/one" "$WORK/two" "$WORK/three"; }

feed 1 50
becomes "three share the work" "$(expected 50)" read_so_far

kill -9 "$two"
wait "$two" 2>/dev/null || true
feed 51 100
becomes "two take over what the third leaves" "$(expected 100)" read_so_far

# The server goes and comes back; consumers and offsets with it.
address=$KAFKA
sleep 1
kill "$one" "$three"
wait "$one" "$three" 2>/dev/null || true
stop_server KILL
serve
feed 101 120
new() { timeout 30 kcat -b "$KAFKA" -G workers -q -e -X auto.offset.reset=earliest -f '%s\n' work 2>/dev/null | sort -u; }
same "the group goes on where it stopped" "$(expected 120 | grep -E -- '-(10[1-9]|11[0-9]|120)$')" "$(new)"

# From a time on: records that were written before it are not read.
sleep 0.1
now=$(date +%s%3N)
printf 'late\n' | kcat -b "$KAFKA" -P -t work -p 1
same "from a point in time" "late" "$(kcat -b "$KAFKA" -C -q -t work -e -o "s@$now")"
