# Shared by the scripts in dev/ and tests/: where things are, and how to speak and fail. Not a program: source it.
# shellcheck shell=bash

set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The extension's Cargo.toml is the one place that says which PostgreSQL and which pgrx.
pg_major=$(sed -n 's/^default = \["pg\([0-9]*\)"\]$/\1/p' "$repository/extension/Cargo.toml")
pgrx_version=$(sed -n 's/^pgrx = "=\(.*\)"$/\1/p' "$repository/extension/Cargo.toml")

say() { printf '%s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The pg_config of the right major version; PG_CONFIG overrides it.
find_pg_config() {
    local candidate
    for candidate in "${PG_CONFIG:-}" "/usr/lib/postgresql/$pg_major/bin/pg_config" \
        "/usr/pgsql-$pg_major/bin/pg_config" "$(command -v pg_config || true)"; do
        if [[ -n $candidate && -x $candidate && $("$candidate" --version) == "PostgreSQL $pg_major"[.a-z]* ]]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "no pg_config of PostgreSQL $pg_major was found (run 'make setup', or set PG_CONFIG)"
}

# The directory of initdb, pg_ctl and psql.
find_pg_bin() { "$(find_pg_config)" --bindir; }

# PostgreSQL refuses to run as root: root's clusters belong to the postgres user.
as_cluster_owner() {
    if ((EUID == 0)); then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

# What `dev/cluster env` prints, taken into this shell: PGHOST, PGPORT, PGUSER.
use_cluster() {
    local settings
    settings=$("$repository/dev/cluster" env "$1")
    eval "$settings"
}
