#!/usr/bin/env bash
# Millstream, exactly once, on the Kafka broker of a harness that runs several engines over the same topics.
#
#   millstream.sh WORKLOAD
#
# Link it into the harness's folder of engines. It takes the release binaries of this workspace, or those in
# MILLSTREAM_BIN; what it reads of the environment and prints stands in benches/src/peer.rs.
set -euo pipefail
here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
bin="${MILLSTREAM_BIN:-${CARGO_TARGET_DIR:-$here/../../target}/release}"
exec "$bin/benches" --peer --server "$bin/millstream" "$1"
