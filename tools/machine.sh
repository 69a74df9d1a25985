#!/bin/sh
# Says in one list what this machine lacks to build, test and run the demo, with the Debian package that brings it.
# Usage: tools/machine.sh PYTHON [--without-go]. Ends with 1 when something is missing.
set -u
python=${1:-}
root=$(dirname "$0")
missing=

lacks() {
    missing="$missing  - $1
      $2
"
}

if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    lacks 'Python 3.11 or newer' 'apt install python3 python3-venv   (Debian 12 or newer)'
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    lacks "the venv module of $python" 'apt install python3-venv'
fi

if [ "${2:-}" != --without-go ]; then
    wanted=$(sed -n 's/^go //p' "$root/kube/go.mod")
    if ! command -v go >/dev/null 2>&1; then
        lacks "Go $wanted or newer, to build the Kubernetes test programs once" \
            'apt install golang-go   (Debian 13; on Debian 12 from bookworm-backports, or https://go.dev/dl)'
    elif ! (cd "$root/kube" && go env GOVERSION >/dev/null 2>&1); then
        lacks "Go $wanted or newer; $(cd / && go env GOVERSION) is too old and may not fetch a newer one" \
            'apt install golang-go   (Debian 13; on Debian 12 from bookworm-backports, or https://go.dev/dl)'
    fi
fi

if [ -n "$missing" ]; then
    printf 'This machine lacks:\n%s' "$missing"
    exit 1
fi
