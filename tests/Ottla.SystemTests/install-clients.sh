#!/bin/sh
# Installs the Kafka clients that the system tests drive, and compiles the drivers that need it.
# Debian or Ubuntu. Run again at will: what is there stays. Packages need root; `install-clients.sh drivers` only compiles.
# A client that cannot be had does not stop the others: its tests are skipped, and say why.
set -u

here=$(cd "$(dirname "$0")" && pwd)
output="$here/../../artifacts/clients"
packages="kcat gcc libc6-dev librdkafka-dev python3-kafka python3-lz4 python3-snappy python3-zstandard golang-go golang-github-segmentio-kafka-go-dev nodejs npm prometheus"
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

# The newest librdkafka, from the package that Confluent.Kafka uses. Of its builds, the one that needs the fewest libraries of the system.
install_librdkafka() {
    version=$(sed -n 's/.*"librdkafka.redist" Version="\[\(.*\)\]".*/\1/p' "$here/../../Directory.Packages.props")
    new="$output/librdkafka-$version"
    [ -f "$new/librdkafka.so.1" ] && return
    case $(uname -m) in x86_64) build=linux-x64/native/centos8-librdkafka.so ;; *) build=linux-arm64/native/librdkafka.so ;; esac
    dotnet restore "$here/../Ottla.ConfluentDriver" --verbosity quiet || { fail "librdkafka.redist is not restored"; return; }
    packages_folder=$(dotnet nuget locals global-packages --list | sed 's/^global-packages: //')
    package="${packages_folder%/}/librdkafka.redist/$version"
    mkdir -p "$new" && cp -r "$package/build/native/include" "$new/" && chmod -R u+w "$new" && cp "$package/runtimes/$build" "$new/librdkafka.so.1" ||
        fail "there is no $build in $package"
}

is_newer() { # is_newer <output> <source>
    [ -x "$1" ] && [ "$1" -nt "$2" ]
}

compile_drivers() {
    mkdir -p "$output"
    source="$here/Clients/librdkafka/driver.c"
    is_newer "$output/librdkafka-driver" "$source" ||
        gcc -std=gnu11 -O2 -Wall -Wextra -Werror -o "$output/librdkafka-driver" "$source" -lrdkafka || fail "the librdkafka driver does not compile"
    install_librdkafka
    is_newer "$output/librdkafka-2.16-driver" "$source" ||
        gcc -std=gnu11 -O2 -Wall -Wextra -Werror -o "$output/librdkafka-2.16-driver" -isystem "$new/include" "$source" -L "$new" -l:librdkafka.so.1 \
            -Wl,-rpath,"\$ORIGIN/$(basename "$new")" || fail "the driver does not compile with librdkafka $version"
    source="$here/Clients/librdkafka/workload.c"
    is_newer "$output/librdkafka-workload" "$source" ||
        gcc -std=gnu11 -O2 -Wall -Wextra -Werror -o "$output/librdkafka-workload" -isystem "$new/include" "$source" -L "$new" -l:librdkafka.so.1 \
            -Wl,-rpath,"\$ORIGIN/$(basename "$new")" || fail "the workload does not compile with librdkafka $version"
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
