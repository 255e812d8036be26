#!/bin/sh
# Creates Temporal's two databases where they are missing, and brings their schemas up to the version of this image. Safe to repeat.
set -eu
schemas=/etc/temporal/schema/postgresql/v12
for pair in temporal:temporal temporal_visibility:visibility; do
  database=${pair%%:*}
  temporal-sql-tool --database "$database" create
  temporal-sql-tool --database "$database" setup-schema --version 0.0
  temporal-sql-tool --database "$database" update-schema --schema-dir "$schemas/${pair##*:}/versioned"
done
