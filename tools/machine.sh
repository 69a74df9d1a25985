#!/bin/sh
# Says in one list what this machine lacks to build, test and run the demo, with the Debian package that brings it.
# Usage: tools/machine.sh [PYTHON [CLUSTER]]; CLUSTER as for the demo, local unless given. Ends with 1 when something
# is missing. `make` runs it first; without make, run it by hand.
set -u
root=$(dirname "$0")
cluster=${2:-local}
missing=

lacks() {
    missing="$missing  - $1
      $2
"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

fitting_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$name" && return
    done
}

if [ $# -eq 0 ]; then python=$(fitting_python); else python=$1; fi

# Who was started by make has it.
[ -n "${MAKELEVEL:-}" ] || has make || lacks 'make' 'apt install make'

if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    lacks 'Python 3.11 or newer' 'apt install python3 python3-venv   (Debian 12 or newer)'
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    lacks "the venv module of $python" 'apt install python3-venv'
fi

case $cluster in
existing | kind)
    has kubectl || lacks "kubectl, for --cluster=$cluster" \
        'apt install kubernetes-client   (Debian 13 or newer; else https://kubernetes.io/docs/tasks/tools/)'
    [ "$cluster" = existing ] || has kind || lacks 'kind, for --cluster=kind' \
        'https://kind.sigs.k8s.io, and Docker or Podman   (apt install podman)'
    ;;
*)
    wanted=$(sed -n 's/^go //p' "$root/kube/go.mod")
    if ! has go; then
        lacks "Go $wanted or newer, to build the Kubernetes test programs once" \
            'apt install golang-go   (Debian 13; on Debian 12 from bookworm-backports, or https://go.dev/dl)'
    elif ! (cd "$root/kube" && go env GOVERSION >/dev/null 2>&1); then
        lacks "Go $wanted or newer; $(cd / && go env GOVERSION) is too old and may not fetch a newer one" \
            'apt install golang-go   (Debian 13; on Debian 12 from bookworm-backports, or https://go.dev/dl)'
    fi
    ;;
esac

if [ -n "$missing" ]; then
    printf 'This machine lacks:\n%s' "$missing"
    exit 1
fi
