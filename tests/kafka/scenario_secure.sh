#!/usr/bin/env bash
# Securing it: TLS, users with SCRAM, rules; and what a stranger gets. Needs kcat and openssl.
. "$(dirname "$0")/lib.sh"
cd "$WORK"
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -keyout ca.key -out ca.pem -subj "/CN=our authority" 2>/dev/null
issue() { # NAME SUBJECT
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}
issue server "/CN=server"
issue ann "/O=Example/CN=ann"

cat >users.toml <<END
[kafka]
super_users = ["User:root"]
[kafka.tls]
certificate = "$WORK/server.pem"
key = "$WORK/server.key"
[kafka.users]
root = "root's secret"
ann = "ann's secret"
[[kafka.rules]]
principal = "User:ann"
topic = "open-*"
operations = ["read", "write"]
[[kafka.rules]]
principal = "User:ann"
group = "*"
operations = ["read"]
END
serve --config users.toml
topics --create open-1 >/dev/null
topics --create closed >/dev/null

as() { # NAME PASSWORD ARGUMENTS…
  local name=$1 password=$2
  shift 2
  timeout 30 kcat -b "$KAFKA" -m 5 -X security.protocol=SASL_SSL -X ssl.ca.location=ca.pem \
    -X sasl.mechanisms="${MECHANISM:-SCRAM-SHA-512}" -X sasl.username="$name" -X sasl.password="$password" "$@" 2>&1
}
for MECHANISM in SCRAM-SHA-512 SCRAM-SHA-256 PLAIN; do
  echo "$MECHANISM" | as ann "ann's secret" -P -t open-1
done
unset MECHANISM
same "ann reads what she wrote" $'SCRAM-SHA-512\nSCRAM-SHA-256\nPLAIN' "$(as ann "ann's secret" -C -q -t open-1 -o beginning -e)"
listed=$(as ann "ann's secret" -L)
has "ann sees her topics" "open-1" "$listed"
case "$listed" in *closed*) same "ann does not see others" "" "$listed" ;; esac
has "and cannot write to them" "authorization failed" "$(echo x | as ann "ann's secret" -P -t closed -X topic.message.timeout.ms=3000 || true)"
echo x | as root "root's secret" -P -t closed
has "a wrong password" "name or password is wrong" "$(as ann guess -L || true)"
has "a stranger without TLS" "isconnected" "$(timeout 10 kcat -b "$KAFKA" -m 3 -L 2>&1 || true)"
stop_server

cat >certificates.toml <<END
[kafka]
[kafka.tls]
certificate = "$WORK/server.pem"
key = "$WORK/server.key"
client_ca = "$WORK/ca.pem"
[[kafka.rules]]
principal = "User:CN=ann,O=Example"
topic = "*"
operations = ["all"]
END
serve --config certificates.toml
by_certificate() {
  timeout 30 kcat -b "$KAFKA" -m 5 -X security.protocol=SSL -X ssl.ca.location=ca.pem "$@" 2>&1
}
has "ann is known by her certificate" "closed" \
  "$(by_certificate -X ssl.certificate.location=ann.pem -X ssl.key.location=ann.key -L)"
has "who has none is not let in" "Failed to acquire metadata" "$(by_certificate -L || true)"
