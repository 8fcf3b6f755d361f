#!/usr/bin/env bash
# A cluster on this machine, each node a process with a folder and ports of its own. `./dev cluster` builds the executable and runs this.
#
#   tools/cluster.sh EXECUTABLE [N | CONTROLLERS+BROKERS]
#
# N nodes that are controllers and brokers (3 unless said otherwise), or controllers and brokers apart: 3+3. Broker I is node I on port
# 9091+I; controllers listen on 19091+I, and apart from brokers they are the nodes 100+I. All is in data/cluster/nodeI: server.properties,
# written at the first start and yours from then on, the data, and the log of the last two runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly executable=$1 shape=${2:-3}
readonly root=data/cluster
readonly slow_seconds=10

fail() { echo "ERROR: $*" >&2; exit 1; }

if [[ $shape =~ ^([1-9][0-9]?)\+([1-9][0-9]?)$ ]]; then
    readonly controllers=${BASH_REMATCH[1]} brokers=${BASH_REMATCH[2]} first_controller=101
elif [[ $shape =~ ^[1-9][0-9]?$ ]]; then
    readonly controllers=$shape brokers=$shape first_controller=1
else
    echo "usage: ./dev cluster [N | CONTROLLERS+BROKERS], for example 3 or 3+3" >&2
    exit 2
fi

readonly replicas=$((brokers < 3 ? brokers : 3))
readonly in_sync=$((replicas < 3 ? 1 : 2))

controller_port() { echo $((19092 + $1 - first_controller)); }
broker_port() { echo $((9091 + $1)); }
is_controller() { [ "$1" -ge "$first_controller" ] && [ "$1" -lt $((first_controller + controllers)) ]; }
is_broker() { [ "$1" -le "$brokers" ]; }

nodes=()
for ((i = first_controller; i < first_controller + controllers; i++)); do nodes+=("$i"); done
if [ "$first_controller" -ne 1 ]; then for ((i = 1; i <= brokers; i++)); do nodes+=("$i"); done; fi

write_configuration() { # NODE
    local node=$1 roles="" listeners="" advertised="" bootstrap="" i
    if is_broker "$node"; then
        roles=broker
        listeners="PLAINTEXT://127.0.0.1:$(broker_port "$node")"
        advertised="PLAINTEXT://localhost:$(broker_port "$node")"
    fi
    if is_controller "$node"; then
        roles="${roles:+$roles,}controller"
        listeners="${listeners:+$listeners,}CONTROLLER://127.0.0.1:$(controller_port "$node")"
        advertised="${advertised:+$advertised,}CONTROLLER://localhost:$(controller_port "$node")"
    fi
    for ((i = first_controller; i < first_controller + controllers; i++)); do bootstrap+="${bootstrap:+,}localhost:$(controller_port "$i")"; done
    cat >"$root/node$node/server.properties" <<EOF
# Node $node of ./dev cluster. Written once: change what you like.
process.roles=$roles
node.id=$node
controller.quorum.bootstrap.servers=$bootstrap
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
listeners=$listeners
advertised.listeners=$advertised
log.dirs=$PWD/$root/node$node/data
# Topics have a replica on three brokers, if there are as many. Two must have a record before acks=all is answered.
default.replication.factor=$replicas
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$replicas
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$in_sync
group.initial.rebalance.delay.ms=0
EOF
}

# The first time: an id for the cluster, one for each controller's directory, and the same list of voters for all of them.
format_all() {
    local cluster_id voters="" node
    mkdir -p "$root"
    cluster_id=$("$executable" random-uuid)
    for ((node = first_controller; node < first_controller + controllers; node++)); do
        voters+="${voters:+,}$node@localhost:$(controller_port "$node"):$("$executable" random-uuid)"
    done
    for node in "${nodes[@]}"; do
        mkdir -p "$root/node$node"
        write_configuration "$node"
        local arguments=(format --cluster-id "$cluster_id" --config "$root/node$node/server.properties")
        if is_controller "$node"; then arguments+=(--initial-controllers "$voters"); fi
        "$executable" "${arguments[@]}" >/dev/null
    done
    echo "$shape" >"$root/shape" # last: what has no shape was not formatted to the end
    echo "formatted the cluster $cluster_id in $root"
}

if [ -e "$root/shape" ]; then
    [ "$(cat "$root/shape")" = "$shape" ] ||
        fail "$root holds a cluster of another shape: run ./dev cluster $(cat "$root/shape"), or remove $root to begin anew"
else
    [ ! -e "$root" ] || fail "$root was not formatted to the end: remove it to begin anew"
    format_all
fi

declare -A pids=()
is_stopping=""

# All at once: the last node of a cluster that is stopped one by one waits for a quorum that is gone.
stop_all() { # SIGNAL
    local node
    for node in "${!pids[@]}"; do kill "-$1" "${pids[$node]}" 2>/dev/null || true; done
}

on_signal() {
    if [ -z "$is_stopping" ]; then
        is_stopping=1
        echo "stopping all nodes (once more to kill them)"
        stop_all TERM
    else
        echo "killing what still runs"
        stop_all KILL
    fi
}
trap on_signal INT TERM HUP

for node in "${nodes[@]}"; do
    log=$root/node$node/node.log
    [ ! -e "$log" ] || mv -f "$log" "$log.old"
    "$executable" start --config "$root/node$node/server.properties" </dev/null >"$log" 2>&1 &
    pids[$node]=$!
done

# Sets `ended` to a node that has ended by itself, if there is one, and forgets it.
find_ended() {
    local node
    ended=""
    for node in "${!pids[@]}"; do
        if ! kill -0 "${pids[$node]}" 2>/dev/null; then ended=$node; return; fi
    done
}

describe() { # NODE
    if ! is_broker "$1"; then echo "node $1 is a controller on localhost:$(controller_port "$1")"
    elif is_controller "$1"; then echo "node $1 serves on localhost:$(broker_port "$1"), controller on localhost:$(controller_port "$1")"
    else echo "node $1 serves on localhost:$(broker_port "$1")"; fi
}

waiting=("${nodes[@]}")
seconds_told=0
SECONDS=0
status=0
while [ -z "$is_stopping" ]; do
    find_ended
    if [ -n "$ended" ]; then
        code=0
        wait "${pids[$ended]}" || code=$?
        unset "pids[$ended]"
        [ -z "$is_stopping" ] || break
        echo "ERROR: node $ended ended with code $code: see $root/node$ended/node.log. Its last line:" >&2
        tail -n 1 "$root/node$ended/node.log" >&2
        echo "stopping the others" >&2
        status=1
        is_stopping=1
        stop_all TERM
        break
    fi
    still=()
    for node in ${waiting[@]+"${waiting[@]}"}; do
        if grep -q "started as node $node" "$root/node$node/node.log"; then describe "$node"; else still+=("$node"); fi
    done
    if [ ${#waiting[@]} -gt 0 ] && [ ${#still[@]} -eq 0 ]; then
        servers=""
        for ((i = 1; i <= brokers; i++)); do servers+="${servers:+,}localhost:$(broker_port "$i")"; done
        echo "the cluster serves on $servers; logs are in $root/node*/node.log, Ctrl-C stops all"
    elif [ ${#still[@]} -gt 0 ] && [ $((SECONDS - seconds_told)) -ge $slow_seconds ]; then
        seconds_told=$SECONDS
        for node in "${still[@]}"; do echo "node $node does not serve yet: $(tail -n 1 "$root/node$node/node.log")"; done
    fi
    waiting=(${still[@]+"${still[@]}"})
    sleep 0.2 || true
done

# A signal to this script ends a wait early: so until each one is gone.
for node in "${!pids[@]}"; do
    while true; do
        code=0
        wait "${pids[$node]}" || code=$?
        kill -0 "${pids[$node]}" 2>/dev/null || break
    done
    [ "$code" -eq 0 ] || [ "$code" -gt 128 ] || { echo "ERROR: node $node ended with code $code: see $root/node$node/node.log" >&2; status=1; }
done
[ "$status" -ne 0 ] || echo "all nodes are stopped"
exit "$status"
