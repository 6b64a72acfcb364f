#!/usr/bin/env bash
# Installs a Flowise version from npm and runs it on 127.0.0.1, for the end-to-end tests.
#
#   flowise.sh install VERSION              put VERSION into the cache; nothing to do when it is there
#   flowise.sh package NAME VERSION         put a package, such as flowise-embed, into the cache
#   flowise.sh run VERSION PORT DATA_DIR    run it in the foreground, with everything it writes under DATA_DIR
#   flowise.sh start VERSION PORT DATA_DIR  run it in the background and wait until it answers
#   flowise.sh stop DATA_DIR                stop what start started
#
# The cache is $FLOWISE_CACHE, or ~/.cache/flowlatch-flowise: one folder a version, complete once it holds .done.
# A first install takes some minutes and 2 to 3 GB. It needs Node 20 with npm, g++, make and python3; start needs curl.
# run and start install nothing.
# A 2.x asks for the user e2e with the password Loopback-0nly!; a 3.x has no account until one is registered.
set -euo pipefail

cache=${FLOWISE_CACHE:-$HOME/.cache/flowlatch-flowise}
node24=24.21.0 # Flowise 3.1 asks for Node 24; npm carries one, so the machine keeps its own.

usage() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "$0"
  exit 2
}

say() { echo "flowise.sh: $*" >&2; }

# three_times runs a command until it works: an install is two thousand downloads, and one of them may fail.
three_times() {
  local try
  for try in 1 2 3; do
    "$@" && return
    say "try $try of 3 did not work: $*"
  done
  return 1
}

install() {
  local version=$1 dir=$cache/$1 tool node_prefix
  if [ -e "$dir/.done" ]; then return; fi
  for tool in node npm g++ make python3; do
    command -v "$tool" >/dev/null || { say "$tool is missing"; exit 1; }
  done
  say "installing Flowise $version into $dir"
  mkdir -p "$dir"
  cd "$dir"
  case $version in
    2.*) printf '{"private": true, "dependencies": {"flowise": "%s"}}\n' "$version" ;;
    *) printf '{"private": true, "dependencies": {"flowise": "%s", "node": "%s"}}\n' "$version" "$node24" ;;
  esac >package.json
  # Without install scripts, because many of them fetch browsers and other programs that no test needs.
  # The two that are needed follow.
  three_times npm install --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  if [ -d node_modules/node ]; then
    (cd node_modules/node && three_times node installArchSpecificPackage.js >&2)
  fi
  # node-gyp would download the headers that many Node installations have beside them.
  node_prefix=$(dirname "$(dirname "$(command -v node)")")
  if [ -e "$node_prefix/include/node/node_api.h" ]; then export npm_config_nodedir=$node_prefix; fi
  # npm's own node-gyp, because the one that sqlite3 brings cannot run on Python 3.12 and later.
  # shellcheck disable=SC2016 # the variable is npm's, set for the command it runs
  three_times npm explore sqlite3 -- 'node "$npm_config_node_gyp" rebuild' >&2
  touch .done
}

package() {
  local dir=$cache/$1-$2
  if [ -e "$dir/package/package.json" ]; then return; fi
  mkdir -p "$dir"
  cd "$dir"
  three_times npm pack --silent "$1@$2" >&2 # without its dependencies: what is used here has none, or they are bundled
  tar xzf "$1-$2.tgz"
}

run() {
  local version=$1 port=$2 data dir=$cache/$1 path=$PATH
  [ -e "$dir/.done" ] || { say "Flowise $version is not installed: $0 install $version"; exit 1; }
  mkdir -p "$3"
  data=$(cd "$3" && pwd)
  local vars=(
    HOME="$data" PORT="$port" HOST=127.0.0.1
    DATABASE_PATH="$data" SECRETKEY_PATH="$data" APIKEY_PATH="$data" BLOB_STORAGE_PATH="$data/storage" LOG_PATH="$data/logs"
    DISABLE_FLOWISE_TELEMETRY=true LOG_LEVEL=info NUMBER_OF_PROXIES=1
    OPENAI_BASE_URL="${OPENAI_BASE_URL:-http://127.0.0.1:9/v1}" # nobody's, or a stand-in
  )
  case $version in
    2.*) vars+=(FLOWISE_USERNAME=e2e FLOWISE_PASSWORD='Loopback-0nly!') ;;
    *)
      path=$dir/node_modules/.bin:$path
      vars+=(HTTP_SECURITY_CHECK=false) # or it refuses a model on 127.0.0.1
      ;;
  esac
  cd "$dir"
  # An empty environment, because Flowise reads a hundred settings from it.
  exec env -i PATH="$path" "${vars[@]}" node node_modules/flowise/bin/run start
}

start() {
  local version=$1 port=$2 data=$3 pid
  mkdir -p "$data"
  set -m # a process group of its own, so that stop reaches what Flowise starts
  "$0" run "$version" "$port" "$data" >"$data/flowise.log" 2>&1 </dev/null &
  set +m
  pid=$!
  echo "$pid" >"$data/pid"
  for _ in $(seq 180); do
    if [ "$(curl -fs -m 2 "http://127.0.0.1:$port/api/v1/ping" || true)" = pong ]; then return; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 1
  done
  tail -n 20 "$data/flowise.log" >&2
  say "Flowise $version does not answer on port $port"
  stop "$data"
  exit 1
}

stop() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 0
  rm -f "$1/pid"
  kill -- "-$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 -- "-$pid" 2>/dev/null || return 0
    sleep 0.2
  done
  kill -9 -- "-$pid" 2>/dev/null || true
}

case "${1:-} $#" in
  "install 2" | "package 3" | "run 4" | "start 4" | "stop 2") "$@" ;;
  *) usage ;;
esac
