# What scripts/run, scripts/test and scripts/bench share: the Debian packages, and building what is stale.
# Sourced, not run. All words go to stderr: stdout belongs to the program that comes after.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# To build and run.
run_packages=(
  g++ cmake ninja-build pkg-config
  libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev libprotoc-dev
  libabsl-dev libc-ares-dev libre2-dev libssl-dev zlib1g-dev
  libspdlog-dev libcli11-dev nlohmann-json3-dev libsqlite3-dev libzstd-dev libxxhash-dev libsystemd-dev
  less make procps
)

# Besides, to test: Catch2, the fuzzers' and checkers' clang, the programs that the suites trace or compare with.
test_packages=(
  "${run_packages[@]}"
  catch2 ccache clang-14 libclang-rt-14-dev clang-tidy-14 clang-format-14
  python3 strace tmux musl-tools fakeroot systemd attr libcap2-bin zstd xz-utils
)

# Besides, to measure.
bench_packages=("${test_packages[@]}" bear)

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 125
}

# install_packages NAME...: those that are missing. Looking costs 10 ms.
install_packages() {
  local missing=() name status
  declare -A installed=()
  while IFS=' ' read -r name status; do
    [[ $status == installed ]] && installed[$name]=1
  done < <(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    [[ -n ${installed[$name]-} ]] || missing+=("$name")
  done
  ((${#missing[@]})) || return 0

  say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "Run this as root once, or install: apt-get install ${missing[*]}"
    as_root=(sudo --)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q)
  "${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null >&2 && return
  # Most often the lists are missing or old.
  "${apt[@]}" update </dev/null >&2 || true
  "${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null >&2 ||
    die "apt-get could not install: ${missing[*]}"
}

# One builder at a time: two terminals may type scripts/run at the same moment. Held until the shell ends or executes.
lock_build() {
  mkdir -p "$root/build"
  exec {build_lock}>"$root/build/.lock"
  flock -n "$build_lock" && return
  say "Waiting for another build of this tree to end"
  flock "$build_lock"
}

unlock_build() { exec {build_lock}>&-; }

# configure NAME OPTION...: build/NAME, if it is not configured with these options yet; with others, anew: a changed compiler
# makes cmake forget the options given with it. A changed CMakeLists.txt is Ninja's matter.
configure() {
  local dir=$root/build/$1 launcher=()
  shift
  [[ -f $dir/build.ninja && -f $dir/.options && $(<"$dir/.options") == "$*" ]] && return
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  say "Configuring ${dir#"$root"/}"
  rm -f "$dir/.options"
  cmake --fresh -S "$root" -B "$dir" -G Ninja "${launcher[@]}" "$@" >&2 || die "cmake failed"
  printf '%s' "$*" >"$dir/.options"
}

# build NAME TARGET...: what is stale, quietly if nothing is. ccache knows the tree by relative paths, so that a second
# clone is quick too.
build() {
  local dir=$root/build/$1
  shift
  export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  [[ $(ninja -C "$dir" -n "$@" 2>/dev/null | tail -n 1) == 'ninja: no work to do.' ]] && return
  say "Building ${dir#"$root"/}"
  ninja -C "$dir" "$@" </dev/null >&2 || die "The build failed"
}

# build_product: build/release as far as the user needs it. A tree that was set up for tests stays so.
build_product() {
  [[ -f $root/build/release/.options ]] || configure release "${release_options[@]}" "${as_one[@]}" -DOCPWATCH_TESTS=OFF
  build release cli/ocp-watch daemon/watchd preload/libocpwatch-preload.so
}

release_options=(-DCMAKE_BUILD_TYPE=RelWithDebInfo)
# Four fifths of a build go into templates that each file makes anew. From nothing the product takes 111 s with a target's
# files in one, and 343 s one by one; after a change of one file 32 s, and 6 s (2 cores, GCC 12). All of a target's, not so
# many at a time: what collides does so at once, and not with the next file that comes.
as_one=(-DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0)
# For whoever changes files; and so each has to include what it needs.
one_by_one=(-DCMAKE_UNITY_BUILD=OFF)
