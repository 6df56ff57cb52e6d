#!/usr/bin/env bash
# Has the compiler look at the addon for each target that package.json names, and takes a warning for an error: Windows, macOS, musl
# and arm64 have code of their own, which nothing else reads on a machine with Linux. Where the toolchain lacks the standard library of
# one, Debian's compiler is used, which has a package with the library's source. It is unpacked to target/ and installed nowhere.
#
#   scripts/check-targets.sh aarch64-apple-darwin # only this one
set -euo pipefail

cd "$(dirname "$0")/.."
packages=(rustc-web cargo-web rust-web-src)
debian=$PWD/target/debian-rust
targets=("$@")
[[ $# -gt 0 ]] || mapfile -t targets < <(node -p 'require("./package.json").napi.targets.join("\n")')

unpack() {
  local folder
  folder=$(mktemp -d)
  (
    cd "$folder"
    apt-get --simulate install --no-install-recommends "${packages[@]}" | awk '/^Inst/ { print $2 }' |
      xargs apt-get download -qq
    for package in *.deb; do dpkg --extract "$package" "$folder/root"; done
  )
  rm -rf "$debian"
  mv "$folder/root" "$debian"
  rm -r "$folder"
}

check() {
  cargo rustc --locked --lib --profile check --target "$1" "${@:2}" -- -D warnings
}

check_with_std() {
  [[ -d $debian ]] || unpack
  local lib=$debian/usr/lib
  PATH=$debian/usr/bin:$PATH LD_LIBRARY_PATH=$lib/x86_64-linux-gnu:$lib:$(echo "$lib"/llvm-*/lib) \
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=target/check check "$1" -Zbuild-std=std,panic_abort
}

for target in "${targets[@]}"; do
  echo "$target"
  if [[ -n $(find "$(rustc --print target-libdir --target "$target")" -name 'libstd-*' 2>/dev/null) ]]; then
    check "$target"
  else
    check_with_std "$target"
  fi
done
