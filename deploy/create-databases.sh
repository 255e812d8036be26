#!/bin/sh
# Run once by the PostgreSQL image, on an empty data volume: one role and database for Relais, one role for its API, one role for
# Temporal, which makes its own databases (temporal-schema.sh).
set -eu
psql --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 \
  --set relais_password="$RELAIS_DATABASE_PASSWORD" --set api_password="$RELAIS_API_DATABASE_PASSWORD" \
  --set temporal_password="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE relais LOGIN PASSWORD :'relais_password';
CREATE DATABASE relais OWNER relais;
CREATE ROLE relais_api LOGIN PASSWORD :'api_password';
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'temporal_password';
SQL
