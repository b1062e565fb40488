#!/usr/bin/env bash
# deploy.sh ENVIRONMENT IMAGE: roll the image out, ask it for its golden rows over HTTP, and take it back where it does
# not answer as it did when it was trained. What a cloud does is infra/deploy.py; this is the same for all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$1 image=$2
before=$(python3 infra/deploy.py current "$environment" "${image%@*}")
echo "before: ${before:-nothing}"
if url=$(python3 infra/deploy.py roll-out "$environment" "$image") &&
  docker run --rm --network host --env SERVE_TOKEN "$image" smoke "$url" --bundle bundle; then
  echo "$environment runs $image at $url"
  exit 0
fi
if [ -z "$before" ]; then
  python3 infra/deploy.py stop "$environment" "${image%@*}"
  echo "$environment ran nothing before, and runs nothing now: $image did not pass its smoke test"
else
  python3 infra/deploy.py roll-out "$environment" "$before"
  docker run --rm --network host --env SERVE_TOKEN "$before" smoke "$url" --bundle bundle
  echo "$environment runs $before again: $image did not pass its smoke test"
fi
exit 1
