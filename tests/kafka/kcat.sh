#!/usr/bin/env bash
# kcat: list, write, read, read as a group, ask by time; what it says when something is wrong.
. "$(dirname "$0")/lib.sh"
cat="kcat -b $KAFKA -m 20"

topics --create lines --partitions 2 >/dev/null
has "the listing names the topic" 'topic "lines" with 2 partitions' "$($cat -L)"

printf 'a:1\nb:2\na:3\nc:\n' | $cat -P -t lines -K: -Z -H h=1
same "keys, values, tombstones" $'a 1 -1\na 3 -1\nb 2 -1\nc  -1' \
  "$($cat -C -q -t lines -e -o beginning -f '%k %s %S\n' | sed -E 's/ [0-9]+$/ -1/' | sort)"
same "headers" "h=1" "$($cat -C -q -t lines -e -o beginning -c 1 -f '%h\n')"
same "tombstones have no length" "c -1" "$($cat -C -q -t lines -e -o beginning -f '%k %S\n' | grep c)"

for codec in none gzip snappy lz4 zstd; do
  topics --create "z-$codec" >/dev/null
  seq 2000 | $cat -P -t "z-$codec" -z "$codec" -X enable.idempotence=true
  same "$codec" "$(seq 2000)" "$($cat -C -q -t "z-$codec" -e -o beginning)"
  same "the last of $codec" "2000" "$($cat -C -q -t "z-$codec" -e -o -1)"
done

# A group goes on where it stopped.
read_group() { timeout 60 $cat -G "$1" -X auto.offset.reset=earliest -X enable.partition.eof=true -q -e -f '%k%s\n' "$2" | sort; }
same "a group reads everything" $'a1\na3\nb2\nc' "$(read_group readers lines)"
printf 'd:4\n' | $cat -P -t lines -K:
same "and then what is new" "d4" "$(read_group readers lines)"

# By time: after the last record there is nothing.
has "offsets by time" "[0] offset -1" "$($cat -Q -t z-none:0:32503680000000 2>&1)"
has "offsets by time" "[0] offset 0" "$($cat -Q -t z-none:0:1 2>&1)"

has "a misspelt topic is an error" "Unknown topic" \
  "$(echo x | $cat -P -t lnies -X topic.metadata.propagation.max.ms=500 2>&1 || true)"
has "and is not there afterwards" "Unknown topic" "$($cat -L -t lnies 2>&1 || true)"
has "the wrong port is told of" "refused" "$(kcat -b 127.0.0.1:1 -m 2 -L 2>&1 || true)"
