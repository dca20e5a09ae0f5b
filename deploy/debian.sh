#!/usr/bin/env bash
# Builds the Debian package into target/debian. Needs cargo-deb: cargo install cargo-deb --locked
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --profile dist --locked -p hookhost
deploy/package-files.sh target/dist/hookhost target/package
cargo deb --no-build --profile dist -p hookhost "$@"
