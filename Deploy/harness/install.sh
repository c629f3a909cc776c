#!/usr/bin/env bash
# usage: source Deploy/harness/install.sh; install_missing WHAT:PACKAGE...; install_wanted WHAT:PACKAGE...
#
# Shared by Deploy/run and Deploy/test. WHAT is a command, or a file when it begins with a slash; PACKAGE is what Debian
# calls the package that brings it. Nothing is installed when nothing is missing.

install_missing() {
    local pair what missing=()
    for pair in "$@"; do
        what=${pair%%:*}
        case $what in
            /*) [ -e "$what" ] || missing+=("${pair#*:}") ;;
            *) command -v "$what" >/dev/null 2>&1 || [ -x "/usr/sbin/$what" ] || missing+=("${pair#*:}") ;;
        esac
    done
    # Debian keeps daemons where only root looks for them.
    case ":$PATH:" in *:/usr/sbin:*) ;; *) export PATH="$PATH:/usr/sbin" ;; esac
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "please install: ${missing[*]} (there is no apt-get here to do it)" >&2
        return 1
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || { echo "please install as root: apt-get install ${missing[*]}" >&2; return 1; }
        as_root=(sudo)
    fi
    echo "installing with ${as_root[*]:+sudo }apt-get: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# The same, one by one, for what only some cases need: what cannot be installed is named, and its cases say that they skip.
install_wanted() {
    local pair
    for pair in "$@"; do
        install_missing "$pair" || echo "not installed: ${pair#*:}; the cases that need it are skipped" >&2
    done
}

# The same from PyPI: MODULE:PACKAGE. PJSUA2 has wheels for some versions of Python only.
install_wanted_python() {
    local pair
    for pair in "$@"; do
        python3 -c "import ${pair%%:*}" >/dev/null 2>&1 && continue
        python3 -m pip install --quiet "${pair#*:}" >/dev/null 2>&1 ||
            python3 -m pip install --quiet --break-system-packages "${pair#*:}" >/dev/null 2>&1 ||
            echo "not installed: ${pair#*:} (pip); the cases that need it are skipped" >&2
    done
}

require_swift() {
    command -v swift >/dev/null 2>&1 && return 0
    local place
    for place in /opt/swift/usr/bin "$HOME/.swiftly/bin" "$HOME/.local/share/swiftly/bin"; do
        if [ -x "$place/swift" ]; then
            export PATH="$place:$PATH"
            return 0
        fi
    done
    echo "no swift in the PATH: install a Swift toolchain, 6.2 or later, from https://www.swift.org/install" >&2
    return 1
}
