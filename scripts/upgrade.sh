#!/usr/bin/env bash
# Builds the programs of the last release and runs them beside those of this one. Nothing is released yet: LAST_RELEASE is the commit
# that this one is compared with.
set -euo pipefail
cd "$(dirname "$0")/.."

release=$(cat LAST_RELEASE)
dir=$PWD/target/last-release
if ! git cat-file -e "$release^{commit}" 2>/dev/null; then
  echo "This clone's history has no commit $release, the last release; fetch it: git fetch --unshallow" >&2
  exit 1
fi
if [ "$(cat "$dir/built" 2>/dev/null)" != "$release" ]; then
  rm -rf "$dir/source"
  mkdir -p "$dir/source"
  git archive "$release" | tar -x -C "$dir/source"
  (cd "$dir/source" && CARGO_TARGET_DIR="$dir/build" CARGO_PROFILE_DEV_DEBUG=0 cargo build --workspace --bins)
  echo "$release" >"$dir/built"
fi
TITAN_LAST_RELEASE=$dir/build/debug cargo nextest run --workspace --run-ignored all -E 'test(upgrade::)' --no-capture
