#!/bin/sh
# Installs the Kafka clients that the system tests drive, and compiles the drivers that need it.
# Debian or Ubuntu. Run again at will: what is there stays. Packages need root; `install-clients.sh drivers` only compiles.
# A client that cannot be had does not stop the others: its tests are skipped, and say why.
set -u

here=$(cd "$(dirname "$0")" && pwd)
output="$here/../../artifacts/clients"
packages="kcat gcc libc6-dev librdkafka-dev python3-kafka python3-lz4 python3-snappy python3-zstandard golang-go golang-github-segmentio-kafka-go-dev nodejs npm"
failures=0

fail() {
    echo "install-clients: $1" >&2
    failures=$((failures + 1))
}

install_packages() {
    missing=""
    for package in $packages; do
        # npm and node also come from elsewhere than Debian.
        case $package in nodejs) command -v node >/dev/null && continue ;; npm) command -v npm >/dev/null && continue ;; esac
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    [ -z "$missing" ] && return
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # One by one: a package that a distribution lacks must not take the others with it.
    for package in $missing; do
        apt-get install -y -q --no-install-recommends "$package" || fail "no package $package"
    done
}

install_node_modules() {
    directory="$here/Clients/node"
    cmp -s "$directory/package-lock.json" "$directory/node_modules/.ottla-lock.json" && return
    if (cd "$directory" && npm ci --no-fund --no-audit); then
        cp "$directory/package-lock.json" "$directory/node_modules/.ottla-lock.json"
    else
        fail "npm ci failed"
    fi
}

is_newer() { # is_newer <output> <source>
    [ -x "$1" ] && [ "$1" -nt "$2" ]
}

compile_drivers() {
    mkdir -p "$output"
    source="$here/Clients/librdkafka/driver.c"
    is_newer "$output/librdkafka-driver" "$source" ||
        gcc -std=gnu11 -O2 -Wall -Wextra -Werror -o "$output/librdkafka-driver" "$source" -lrdkafka || fail "the librdkafka driver does not compile"
    source="$here/Clients/kafka-go/driver.go"
    is_newer "$output/kafka-go-driver" "$source" ||
        GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= go build -o "$output/kafka-go-driver" "$source" || fail "the kafka-go driver does not compile"
}

if [ "${1:-}" != drivers ]; then
    install_packages
    install_node_modules
fi
compile_drivers
exit "$failures"
