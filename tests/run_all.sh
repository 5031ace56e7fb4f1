#!/bin/sh
# Run all tests on every CPython from 3.11 on that this machine has.
#
#   make test-all          every version but the one of `make test` (PYTHON, python3 by default)
#   make test-all ALL=1    that one too
#
# Arguments go to pytest: `sh tests/run_all.sh tests/config`.
#
# Looks at $PYTHON, at python3.* on PATH, at pyenv's versions and at /usr/bin/python3; of each
# version, and of its free-threaded build, the first one found is taken. Each gets a virtual
# environment of its own, .venv-X.Y or .venv-X.Yt. They run side by side, each into a file beside its
# environment, which is shown when it is done. Fails if any of them fails. Tests that are marked `once`
# are left to `make test`.

set -u
cd "$(dirname "$0")/.." || exit 1
base=${PYTHON:-python3}

# Prints X.Y, or X.Yt for a free-threaded build; nothing if it is no CPython from 3.11 on.
version_of() {
    "$1" -c '
import sys, sysconfig
if sys.implementation.name == "cpython" and sys.version_info >= (3, 11):
    flag = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    print("%d.%d%s" % (*sys.version_info[:2], flag))
' 2>/dev/null
}

candidates() {
    echo "$base"
    for minor in 11 12 13 14 15; do
        command -v "python3.$minor"
        command -v "python3.${minor}t"
    done
    for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python /usr/bin/python3; do
        [ -x "$python" ] && echo "$python"
    done
}

# Installs and tests in one virtual environment: run VERSION INTERPRETER [PYTEST-ARGUMENT...]
run() {
    venv=.venv-$1
    # One that was left half made, or whose interpreter has gone, is made anew.
    if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        "$2" -m venv --clear "$venv" || return 1
    fi
    shift 2
    "$venv/bin/python" -m pip install --quiet --editable '.[test]' || return 1
    "$venv/bin/python" -c "$pytest" "$@"
}

# A shell has what it starts in the background ignore Ctrl-C, which the tests of Ctrl-C inherit.
pytest='
import os, signal, sys
for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "pytest", "-m", "not once", *sys.argv[1:]])
'

skipped=
[ -n "${ALL:-}" ] || skipped=$(version_of "$base")
found=
while read -r python; do
    version=$(version_of "$python")
    case " $found " in
    *" $version="*) continue ;;
    esac
    [ -z "$version" ] || found="$found $version=$python"
done <<END
$(candidates)
END

echo "Found:"
for each in $found; do
    note=
    [ "${each%%=*}" = "$skipped" ] && note=" (left to 'make test'; ALL=1 runs it here too)"
    echo "  ${each%%=*}  ${each#*=}$note"
done

running=
for each in $found; do
    version=${each%%=*}
    [ "$version" = "$skipped" ] && continue
    run "$version" "${each#*=}" "$@" >".venv-$version.log" 2>&1 &
    running="$running $version:$!"
done

summary=
status=0
for each in $running; do
    version=${each%%:*}
    if wait "${each#*:}"; then
        summary="$summary $version:passed"
    else
        summary="$summary $version:FAILED"
        status=1
    fi
    echo
    echo "== $version"
    cat ".venv-$version.log"
done

echo
echo "Summary:${summary:- no other version found}"
exit "$status"
