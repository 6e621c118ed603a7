# Sourced by .ci/run and tests/run: makes sure that a command exists. As root on Debian or Ubuntu what is
# missing is installed by package name; elsewhere all of it is named at once, before anything is built.

missing=()

# need COMMAND PACKAGE…: the first package that the distribution knows is taken.
need() {
  local command=$1
  shift
  command -v "$command" >/dev/null 2>&1 && return
  install_for "the command $command" "$@"
  command -v "$command" >/dev/null 2>&1 && return
  missing+=("$command (Debian: apt-get install $1)")
}

# Virtual environments of Python, which Debian packs apart from it.
need_venv() {
  need python3 python3
  python3 -c 'import ensurepip' 2>/dev/null && return
  install_for "virtual environments" python3-venv
  python3 -c 'import ensurepip' 2>/dev/null && return
  missing+=("Python's venv (Debian: apt-get install python3-venv)")
}

# install_for WHAT PACKAGE…
install_for() {
  local what=$1 package
  shift
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 0
  if [ -z "${apt_updated-}" ]; then
    apt-get update -qq >&2
    apt_updated=1
  fi
  for package in "$@"; do
    if apt-cache show "$package" >/dev/null 2>&1; then
      echo "installing $package (for $what)" >&2
      DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package" >&2
      break
    fi
  done
  hash -r
}

# Ends the script if anything that was needed is not there.
needed() {
  [ ${#missing[@]} = 0 ] && return
  echo "these commands are missing; install them and run again:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 1
}

# The Rust toolchain is the one thing that is never installed here.
need_rust() {
  if ! command -v cargo >/dev/null 2>&1; then
    [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
  fi
  if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust from https://rustup.rs and run again" >&2
    exit 1
  fi
}
