#!/usr/bin/env bash
# A deploy as many people have it in one script on the host: a new directory, the link to it, and word to what runs the app.
# HOME_DIR REPOSITORY COMMIT APP RESTART, the last a command of the shell. Says "step SECONDS NAME" before each command.
set -euo pipefail
home=$1 repository=$2 commit=$3 app=$4 restart=$5
release=$home/releases/$(date --utc +%Y%m%d%H%M%S)
# npm's cache is that of the app's other deploys.
as_app() {
  setpriv --reuid="$app" --regid="$app" --init-groups \
    env HOME="/var/cache/minato-app/$app" NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$@"
}
step() { echo "step $(date +%s.%N) $1"; }

step fetch
as_app git clone --quiet "$repository" "$release"
step checkout
as_app git -C "$release" checkout --quiet "$commit"
step shared
ln -s "$home/shared/.env" "$release/.env"
# What the app says of itself; there is no word for it in such scripts, so it is no step.
printf '{"id": "%s", "commit": "%s"}' "$(basename "$release")" "$commit" >"$release/RELEASE.json"
cd "$release"
step install
as_app npm ci --omit=dev >/dev/null
step migrate
(
  set -a
  # shellcheck source=/dev/null
  source "/opt/$app/migrate.env"
  as_app npm run migrate >/dev/null
)
step switch
ln -sfn "$release" "$home/current"
step restart
bash -euc "$restart" >/dev/null
step prune
find "$home/releases" -mindepth 1 -maxdepth 1 | sort | head --lines=-5 | xargs --no-run-if-empty rm -rf
step end
