#!/usr/bin/env bash
# Runs every command of the README's `sh` blocks, in order, in a copy of the working tree's models, so that the README stays exact.
# Commands that take minutes get options that make them small; which, is printed.
#
#   tests/readme.sh FOLDER      FOLDER must not exist; the programs must be built (cargo build --release --workspace)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$1
mkdir -p "$folder"
export PATH="${CARGO_TARGET_DIR:-$root/target}/release:$PATH"
cp -r "$root/models" "$folder/models"
mapfile -t commands < <(awk '/^```sh$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$root/README.md")
[ "${#commands[@]}" -gt 5 ] || { echo "no commands found in the README"; exit 1; }
ran=0
for command in "${commands[@]}"; do
    case $command in
    "cargo test --workspace"*) continue ;; # the caller's own step
    "cargo run --release") command="algodistill quickstart --updates 100 --runs 1" ;;
    "cargo run --release -p algodistill-firmware-sim -- "*) command="algodistill-firmware-sim ${command#*-- }" ;;
    "algodistill train-rl2"*) command="${command/--iterations 60/--iterations 3} --trials 16 --evaluation-trials 16" ;;
    "algodistill train"*) command="${command/--updates 2500/--updates 100}" ;;
    "algodistill evaluate"*) command+=" --runs 1" ;;
    "algodistill reproduce --list") ;;
    "algodistill reproduce all"*) command="algodistill reproduce all --scale toy" ;;
    "algodistill bench act"*) command+=" --steps 1000" ;;
    "algodistill bench train"*) command+=" --seconds 0.2" ;;
    "algodistill bench generate"*) command+=" --runs 1" ;;
    "algodistill reproduce"*)
        command="${command/ --seeds [0-9]/}"
        command+=" --scale toy --out runs/${command##* }" # where later commands look
        ;;
    esac
    echo "+ $command"
    (cd "$folder" && bash -euo pipefail -c "$command" >/dev/null 2>stderr </dev/null) || { cat "$folder/stderr"; exit 1; }
    ran=$((ran + 1))
done
echo "$ran commands of the README ran"
