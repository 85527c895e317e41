#!/usr/bin/env bash
# Entrypoint of the database image: makes the cluster on the volume once, then is PostgreSQL.
#
#   POSTBACK_DB_PASSWORD      password of the superuser `postgres`, needed the first time
#   POSTBACK_PROXY_PASSWORD   password of the role `postback_proxy`, which may record clicks and postbacks, nothing else
#   PGDATA                    where the volume is (/var/lib/postgresql/data)
#
# Arguments go to postgres, like `-c shared_buffers=1GB`.
set -euo pipefail

volume=${PGDATA:-/var/lib/postgresql/data}
unset PGDATA
cluster=$volume/main
unfinished=$volume/unfinished

make_cluster() {
    : "${POSTBACK_DB_PASSWORD:?is not set: the password of the superuser postgres}"
    : "${POSTBACK_PROXY_PASSWORD:?is not set: the password of the role postback_proxy}"
    # What an interrupted first start left behind holds no data yet.
    rm -rf "$unfinished"
    initdb --pgdata="$unfinished" --username=postgres --pwfile=<(printf '%s\n' "$POSTBACK_DB_PASSWORD") \
        --data-checksums --encoding=UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=scram-sha-256 --no-instructions
    printf 'host all all all scram-sha-256\n' >>"$unfinished/pg_hba.conf"
    local socket
    socket=$(mktemp -d)
    pg_ctl start -w -s -D "$unfinished" -o "-c listen_addresses='' -c unix_socket_directories=$socket"
    export PGHOST=$socket PGUSER=postgres
    createdb postback
    # The password travels through the environment, not through a command line that `ps` would show.
    psql -X -q -v ON_ERROR_STOP=1 -d postback -f - <"$(dirname "${BASH_SOURCE[0]}")/database.sql" >/dev/null
    pg_ctl stop -w -s -m fast -D "$unfinished"
    unset PGHOST PGUSER
    rmdir "$socket"
    mv "$unfinished" "$cluster"
}

[[ -f $cluster/PG_VERSION ]] || make_cluster
unset POSTBACK_DB_PASSWORD POSTBACK_PROXY_PASSWORD
exec postgres -D "$cluster" -c listen_addresses='*' "$@"
