#!/bin/sh
# Run once by the PostgreSQL image, on an empty data volume: one role and database for Relais, one role for Temporal, which
# makes its own databases (temporal-schema.sh).
set -eu
psql --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 \
  --set relais_password="$RELAIS_DATABASE_PASSWORD" --set temporal_password="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE relais LOGIN PASSWORD :'relais_password';
CREATE DATABASE relais OWNER relais;
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'temporal_password';
SQL
