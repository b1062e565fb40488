#!/usr/bin/env bash
# deploy.sh ENVIRONMENT IMAGE: roll the image out, ask it for its golden rows over HTTP, and take it back where it does
# not answer as it did when it was trained. What a cloud does is infra/deploy.py; this is the same for all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$1 image=$2

# Where it passes, what runs is from now on what there is to go back to: a kill before that leaves it to the next run.
passes() {
  local url
  url=$(python3 infra/deploy.py roll-out "$environment" "$1") &&
    docker run --rm --network host --env SERVE_TOKEN "$1" smoke "$url" --bundle bundle &&
    python3 infra/deploy.py accept "$environment" "$1" &&
    echo "$environment runs $1 at $url"
}

before=$(python3 infra/deploy.py current "$environment" "${image%@*}")
echo "before: ${before:-nothing}"
passes "$image" && exit 0
echo "$image did not pass its smoke test"
if [ -z "$before" ]; then
  python3 infra/deploy.py stop "$environment" "${image%@*}"
  echo "$environment ran nothing before, and runs nothing now"
else
  passes "$before"
  echo "$environment runs what it ran before"
fi
exit 1
