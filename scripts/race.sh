#!/usr/bin/env bash
# Runs the threads of src/tests/stress.rs under ThreadSanitizer, which the toolchain has without its standard library: that is why
# --cfg lsm_race takes the locks where the sanitizer sees it, and what libtest and Arc's fence do is left out. Then under the model
# checker, which runs them in many orders.
#
#   LSM_STRESS_STEPS=20000 LSM_MODEL_SCHEDULES=1000 scripts/race.sh
set -euo pipefail

cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
suppressions=$(mktemp)
trap 'rm -f "$suppressions"' EXIT
printf 'race:test::\nrace:alloc::sync::Arc\n' >"$suppressions"

RUSTC_BOOTSTRAP=1 TSAN_OPTIONS="suppressions=$suppressions" CARGO_TARGET_DIR=target/race \
  RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg lsm_race' \
  cargo test --lib --target "$target" stress

unset LSM_STRESS_STEPS
CARGO_TARGET_DIR=target/model RUSTFLAGS='--cfg lsm_model' \
  cargo test --lib stress -- --test-threads=1
