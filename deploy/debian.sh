#!/usr/bin/env bash
# Builds the Debian package into target/debian. Needs cargo-deb: cargo install cargo-deb --locked
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --profile dist --locked -p hookhost
files=target/package
rm -rf "$files"
mkdir -p "$files/man"
target/dist/hookhost man "$files/man"
gzip -9n "$files"/man/*.1
for shell in bash zsh fish; do
  target/dist/hookhost completions "$shell" > "$files/hookhost.$shell"
done
cargo deb --no-build --profile dist -p hookhost "$@"
