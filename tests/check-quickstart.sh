#!/usr/bin/env bash
# Whether a quickstart's report (--json) shows an int8 model that learned in context: its last episode is far above its first.
set -euo pipefail
report=$1
for field in generate_seconds train_seconds tokens_per_second never_solved; do
    grep -q "\"$field\":" "$report" || { echo "$report lacks $field" >&2; exit 1; }
done
curve=$(grep -o '"int8":\[[0-9.,]*\]' "$report" | head -1 | tr -d '"int8:[]')
first=${curve%%,*}
last=${curve##*,}
echo "int8 return: episode 1 $first, last episode $last"
awk -v first="$first" -v last="$last" 'BEGIN { exit !(last > 12 && last > 3 * first) }'
