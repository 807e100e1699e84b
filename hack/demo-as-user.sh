#!/usr/bin/env bash
# The demo as an ordinary user, in a user namespace. Only root needs this script: for anybody else `make demo` is that already.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
    echo "skipped (1): the demo ran as an ordinary user before"
    exit 0
fi
# Nobody may not look into everybody's checkouts.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp target/debug/meltemi target/debug/meltemid target/debug/meltemi-agent .cache/envoy/envoy "$folder"
chmod -R a+rx "$folder"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
if ! why=$("${nobody[@]}" unshare --user --map-root-user --net --mount true 2>&1); then
    echo "skipped (1): an ordinary user cannot make namespaces here: $why"
    # Where everything is required, a skip is a failure.
    [ -z "${MELTEMI_REQUIRE_ALL:-}" ]
    exit
fi
"${nobody[@]}" "$folder/meltemi" demo --once --mode netns --envoy "$folder/envoy"
