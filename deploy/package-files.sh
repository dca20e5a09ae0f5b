#!/usr/bin/env bash
# Makes the manual pages and completions of a package: package-files.sh HOOKHOST_BINARY FOLDER
set -euo pipefail
binary=$1
files=$2

rm -rf "$files"
mkdir -p "$files/man"
"$binary" man "$files/man"
gzip -9n "$files"/man/*.1
for shell in bash zsh fish; do
  "$binary" completions "$shell" > "$files/hookhost.$shell"
done
